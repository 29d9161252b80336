"""What both vendors' stand-ins are made of; which room may import which is a contract."""
