"""Files that are damaged, expired or elsewhere."""

from services.mock_core.faults.presets.preset import Preset, rule

RESULTS: dict[str, Preset] = {
    "corrupt-results": Preset(
        "the first fetch of each file is cut short, the second empty",
        "every job succeeds; a damaged file is never stored, it is fetched again",
        (
            rule("cut-file", "result.truncate", often={"events": 1}),
            rule("empty-file", "result.empty", often={"events": 2}),
        ),
    ),
    "expired-results": Preset(
        "the first fetch of each file finds an address that has expired: 403",
        "every job succeeds; the address is asked for again",
        (rule("expired-results", "result.expire", often={"events": 1}),),
    ),
    "redirected-results": Preset(
        "the first fetch of each file is redirected to an internal address",
        "every job succeeds; the redirect is not followed",
        (rule("redirected-results", "result.redirect", often={"events": 1}),),
    ),
}
