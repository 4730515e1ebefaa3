"""What a page may set, and what it is told when it may not."""

from typing import Any

import pytest

from realtime.errors import UsageError
from realtime.stages.region import Region, parse_region
from realtime.view.settings import Settings, from_page

FIELDS: dict[str, Any] = {
    "mode": "continual",
    "streams": "rgb",
    "backend": "auto",
    "precision": "auto",
    "stride": 8,
    "smooth": 0,
    "on": 0.5,
    "off": 0.3,
    "min_event": 0.5,
    "region": "",
    "watch": [],
    "several": True,
}


def test_fields_become_settings() -> None:
    given = FIELDS | {"precision": "float32", "smooth": 4.0, "region": "10,20,300,200", "watch": ["a", "b"]}
    assert from_page(given) == Settings(
        "continual", "rgb", precision="float32", smooth=4, region=(10, 20, 300, 200), watch=("a", "b")
    )
    assert from_page(FIELDS) == Settings("continual", "rgb")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mode", "fast"),
        ("mode", None),
        ("mode", ["window"]),
        ("mode", {"a": 1}),
        ("streams", "both "),
        ("streams", 7),
        ("stride", 0),
        ("stride", 10**9),
        ("stride", "8"),
        ("stride", float("nan")),
        ("stride", None),
        ("smooth", -1),
        ("on", 1.5),
        ("on", float("inf")),
        ("off", 0.7),
        ("min_event", -0.1),
        ("min_event", [1]),
        ("region", "1,2,3"),
        ("region", "0,0,0,0"),
        ("region", {"x": 1}),
        ("several", "yes"),
        ("several", 1),
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(field: str, value: object) -> None:
    with pytest.raises(UsageError) as refused:
        from_page(FIELDS | {field: value})
    assert len(str(refused.value)) < 250
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", [{}, {"mode": "preview"}, FIELDS | {"more": 1}])
def test_every_setting_must_be_given_by_its_name(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"settings are mode, streams, .* each by its name"):
        from_page(given)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("", None),
        ("middle", None),
        ("full", "full"),
        ("0,0,16,16", (0, 0, 16, 16)),
        (" 5, 6 ,70,80", (5, 6, 70, 80)),
    ],
)
def test_a_region_is_parsed(text: str, region: Region) -> None:
    assert parse_region(text) == region


@pytest.mark.parametrize(
    "text", ["0,0,15,100", "-1,0,50,50", "1,2,3,4,5", "a,b,c,d", "1e3,0,50,50", ",,,", "9" * 500]
)
def test_a_bad_region_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="x,y,width,height"):
        parse_region(text)
