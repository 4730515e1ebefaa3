"""Where each line is published.

TOPIC/KIND                      of the whole picture of a source without a name
TOPIC/NAME/KIND                 the same for sources with names
TOPIC/NAME/zones/ZONE/KIND      of a zone
TOPIC/NAME/actions/event        of one of several actions
"""

import re

from realtime.outputs.log import Line


def line_topic(topic: str, line: Line) -> str:
    """The topic of a line. A subscriber to one of the whole picture hears nothing of its parts."""
    base = source_topic(topic, line.get("name"))
    if "zone" in line:
        base = zone_topic(base, line["zone"])
    elif "id" in line:
        base = f"{base}/actions"
    return f"{base}/{line['kind']}"


def source_topic(topic: str, name: str | None) -> str:
    return topic if name is None else f"{topic}/{topic_level(name)}"


def zone_topic(source: str, zone: str | None) -> str:
    """`source`: the topic of the source."""
    return source if zone is None else f"{source}/zones/{topic_level(zone)}"


def topic_level(name: str) -> str:
    """A name as one level of a topic, without wildcards. An unnamed source is called by its path."""
    return re.sub(r"[+#/\0]+", "_", name).strip("_") or "_"
