"""`--zone`: a bad zone is one clear line."""

import pytest

from realtime.commands.options import RecognizerOptions
from realtime.errors import UsageError
from realtime.zones import Zone


def test_zones_are_read_in_order() -> None:
    look = RecognizerOptions(zone=["door=10,20,30,40", "till = 50%,0%,50%,100%"])
    look.check()
    assert look.zones() == (Zone("door", 10, 20, 30, 40), Zone("till", 50, 0, 50, 100, percent=True))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["door"], "is no rectangle"),
        (["door=1,2,3"], "is no rectangle"),
        (["door=1,2,0,4"], "width or height is 0"),
        (["door=90%,0%,20%,10%"], "out of the picture"),
        (["=1,2,3,4"], "give a name"),
        (["door=1,2,3,4", "Door=5,6,7,8"], "cannot be told apart"),
        ([f"z{i}=1,2,3,4" for i in range(65)], "at most 64"),
    ],
)
def test_a_bad_zone_is_an_error_of_one_line(given: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        RecognizerOptions(zone=given).check()
    assert "\n" not in str(refused.value)
