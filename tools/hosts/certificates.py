"""One authority, a certificate for the server by its address, and one for its clients."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

AUTHORITY, SERVER, CLIENT = "authority.pem", "server.pem", "client.pem"
DAY = timedelta(days=1)


def make(folder: Path, address: str) -> None:
    """Write them; a key lies in its certificate's file, behind it."""
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("authority")
    root = _unsigned(name, key, issuer=name)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    _write(folder / AUTHORITY, root.sign(key, SHA256()))
    for file in (SERVER, CLIENT):
        own = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        unsigned = _unsigned(_name(file), own, issuer=name).add_extension(names, critical=False)
        _write(folder / file, unsigned.sign(key, SHA256()), own)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _unsigned(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, *, issuer: x509.Name
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        subject_name=name,
        issuer_name=issuer,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - DAY,
        not_valid_after=now + DAY,
    )


def _write(
    path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None = None
) -> None:
    pem = certificate.public_bytes(Encoding.PEM)
    if key is not None:
        pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem)
