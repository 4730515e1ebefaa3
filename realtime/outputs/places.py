"""What to mark on a frame: where the newest predictions say that something is done.

The only place where boxes of the source's stored picture become boxes of the upright frame that is drawn on.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from realtime.errors import UsageError
from realtime.outputs.marks import Mark
from realtime.outputs.overlay import label_colour
from realtime.outputs.text import Colour
from realtime.stages.where import upright, zone_in_frame
from realtime.types import Picture, Prediction
from realtime.zones import Zone

OF_ZONES: Colour = (235, 235, 235)


def marks_of(
    prediction: Prediction | None, of_zones: Mapping[str, Prediction], zones: Sequence[Zone], picture: Picture
) -> list[Mark]:
    """What to mark on a frame.

    Several actions: each with its name and probability. Zones: each as a rectangle with its name and, as soon as it has
    one, its prediction. Without either, and without a glow, the box of the likeliest action, without a name.

    Args:
        prediction: the newest one of the whole picture.
        of_zones: the newest one of each zone, by its name.
        zones: those in force; one that lies outside the picture is left out.
        picture: the frame.
    """
    marks = _actions(prediction, picture)
    for zone in zones:
        with suppress(UsageError):  # the camera now delivers smaller pictures
            marks.append(_zone(zone, of_zones.get(zone.name), picture))
    if zones or prediction is None or prediction.actions is not None or prediction.heat is not None:
        return marks
    if prediction.where is None:
        return marks
    colour = label_colour(prediction.label)
    return [Mark(upright(prediction.where, picture), colour, settled=prediction.settled)]


def _actions(prediction: Prediction | None, picture: Picture) -> list[Mark]:
    if prediction is None:
        return []
    return [
        Mark(
            upright(action.where, picture),
            label_colour(action.label),
            action.label,
            action.probability,
            settled=prediction.settled,
        )
        for action in prediction.actions or ()
        if action.where is not None
    ]


def _zone(zone: Zone, prediction: Prediction | None, picture: Picture) -> Mark:
    box = zone_in_frame(zone, picture)
    if prediction is None:
        return Mark(box, OF_ZONES, zone.name, outlined=True)
    return Mark(
        box,
        label_colour(prediction.label),
        f"{zone.name}: {prediction.label}",
        prediction.probability,
        settled=prediction.settled,
        outlined=True,
    )
