"""Zones of a picture: what can be one, and where it lies in a picture of a given size."""

from typing import Any

import pytest

from realtime.errors import UsageError
from realtime.zones import MOST_ZONES, Zone, check_names, parse_zone


@pytest.mark.parametrize(
    ("given", "zone"),
    [
        ("1,2,30,40", Zone("z", 1, 2, 30, 40)),
        (" 0 , 0.5,10 ,  20", Zone("z", 0, 0.5, 10, 20)),
        ("10%,20%,12.5%, 80 %", Zone("z", 10, 20, 12.5, 80, percent=True)),
    ],
)
def test_a_zone_is_parsed(given: Any, zone: Zone) -> None:
    assert parse_zone("z", given) == zone


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("z", "1,2,3", "give x,y,width,height"),
        ("z", "1,2,3,4,5", "is no rectangle"),
        ("z", "1,2,-3,4", "is no rectangle"),
        ("z", "1%,2,3%,4%", "is no rectangle"),
        ("z", "", "is no rectangle"),
        ("z", "1,2,0,4", "its width or height is 0"),
        ("z", "1%,2%,3%,0.0%", "its width or height is 0"),
        ("z", "50%,0%,60%,10%", "give at most 100%"),
        ("a,b", "1,2,3,4", "give a name"),
        ("", "1,2,3,4", "give a name"),
    ],
)
def test_a_bad_zone_is_an_error_of_one_line(name: str, given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        parse_zone(name, given)
    assert "\n" not in str(error.value)


def test_a_zone_is_placed_in_a_picture() -> None:
    assert parse_zone("z", "10,20,30,40").in_px((40, 60)) == (10, 20, 30, 40)
    assert parse_zone("z", "25%,50%,75%,50%").in_px((640, 480)) == (160, 240, 480, 240)


@pytest.mark.parametrize(("at", "said"), [("10,20,31,40", "to 41,60, out of"), ("0%,0%,1%,1%", "empty in")])
def test_a_zone_that_is_not_in_the_picture_is_refused(at: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_zone("z", at).in_px((40, 60))


def test_zones_must_be_few_and_have_different_names() -> None:
    check_names([f"zone {n}" for n in range(MOST_ZONES)])
    with pytest.raises(UsageError, match="65 zones, and a camera has at most 64"):
        check_names([str(n) for n in range(MOST_ZONES + 1)])
    with pytest.raises(UsageError, match="'Door' and 'door ' cannot be told apart"):
        check_names(["Door", "gate", "door "])
    with pytest.raises(UsageError, match="'a' and 'a' cannot be told apart"):
        check_names(["a", "a"])
