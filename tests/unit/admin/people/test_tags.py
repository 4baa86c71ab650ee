"""What `mekiki tags` says of the running metrics."""

from admin.people.tags import quality_line


def test_the_running_metrics_are_one_line_in_words():
    nothing = dict.fromkeys(("lrap", "p_at_5", "micro_ap", "macro_ap", "ece"))
    assert quality_line(nothing | {"images": 0}) == "quality: no image evaluated yet"
    some = {"images": 1472, "lrap": 0.52, "p_at_5": 0.41, "micro_ap": 0.44, "macro_ap": None, "ece": 0.004}
    assert quality_line(some) == (
        "quality, 1,472 images predicted before they were learned: "
        "LRAP 0.520, P@5 0.410, micro AP 0.440, macro AP -, ECE 0.004"
    )
