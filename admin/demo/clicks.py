"""Clicks of the simulated person, and what the ranker learns from them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from admin.connect import Api
from admin.demo.session import Session, wait_until
from models.evaluate import pair_accuracy
from models.judging.person import click_pairs, taste_of
from models.ranking.pairs import Pair
from models.ranking.ranknet import LAST_BLOCK
from stream.events.schema import PairClicked

TRAINING_PAIRS = 3_000
HELD_OUT_PAIRS = 1_000
PAGE = 500  # images ranked by one request


def click_by_taste(session: Session) -> dict[str, Any]:
    """Click on pairs of training pictures; the ranker's accuracy on pairs of held-out ones, before and after."""
    held_out = set(session.plan.held_out)
    tastes = {image_id: taste_of(item.picture.tags, item.pixels) for image_id, item in session.plan.posted.items()}
    known = {image_id: taste for image_id, taste in tastes.items() if image_id not in held_out}
    unseen = {image_id: taste for image_id, taste in tastes.items() if image_id in held_out}
    training = click_pairs(known, TRAINING_PAIRS, seed=session.seed)
    test = click_pairs(unseen, HELD_OUT_PAIRS, seed=session.seed + 1, random_share=0.0)
    before = _pair_accuracy(session.api, test)
    note = f"{TRAINING_PAIRS} pairs, one in ten at random"
    for pairs in session.track("clicking by a hidden taste", [training], note):
        _click_and_learn(session, pairs)
    after = _pair_accuracy(session.api, test)
    return {"pairs": len(training), "pair_accuracy_before": before, "pair_accuracy_after": after}


def _pair_accuracy(api: Api, pairs: Sequence[Pair]) -> float:
    """Share of pairs the ranker orders as the person does; a tie counts one half."""
    ids = sorted({image_id for pair in pairs for image_id in (pair.preferred, pair.over)})
    scores: dict[str, float] = {}
    for start in range(0, len(ids), PAGE):
        for row in api.post("/v1/rank", json_body={"image_ids": ids[start : start + PAGE]})["ranked"]:
            scores[row["image_id"]] = row["score"]
    preferred = np.array([scores[pair.preferred] for pair in pairs])
    return round(pair_accuracy(preferred, np.array([scores[pair.over] for pair in pairs])), 4)


def _click_and_learn(session: Session, pairs: Sequence[Pair]) -> None:
    """Post clicks and wait until the published ranker has learned from them, but for an unfinished last block."""
    before = int(session.api.get("/v1/status")["pairs_seen"])
    for pair in pairs:
        session.writer.send_event(PairClicked(preferred=pair.preferred, over=pair.over, session_id="demo"))
    session.writer.flush()
    enough = before + len(pairs) - LAST_BLOCK
    wait_until(lambda: int(session.api.get("/v1/status")["pairs_seen"]) > enough, "learning the clicks", 120)
