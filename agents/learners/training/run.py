"""What is trained, as one object: it names the run, its checkpoint and its artefact."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ....envs import FEATURE_NAMES, Setting
from ...policy import plan_spec
from ..saved_policy import plan_facts
from ..settings import PPOSettings, SACSettings, rule_values


@dataclass(frozen=True)
class TrainingRun:
    """One network trained in one setting with one seed."""

    settings: PPOSettings | SACSettings
    setting: Setting  # merchants come from the train split, whatever its own
    seed: int  # of the network, the exploration and the markets
    folder: Path  # where checkpoint and policy are written
    origin: dict[str, Any] = field(default_factory=dict)  # noted in the artefact
    threads: int = 1  # of the simulator

    @property
    def hold(self) -> int:
        """Ticks that a decision lasts."""
        return self.settings.training_env.hold if self.settings.training_env else 1

    @property
    def decisions(self) -> int:
        """Decisions of the whole training, over all markets: what stable-baselines3 calls steps."""
        return -(-self.settings.steps // self.hold)

    @cached_property
    def identity(self) -> str:
        """What a checkpoint must share with a run to be continued by it, as JSON."""
        return json.dumps(
            {
                "settings": self.settings.model_dump(),
                "scenario": self.setting.scenario.hash,
                "levers": self.setting.levers,
                "days": self.setting.days,
                "seed": self.seed,
            }
        )

    def description(self, decisions: int) -> dict[str, Any]:
        """What `policy.json` says of an actor trained for so many decisions: where it comes from,
        and what it needs to be used without its training env.
        """
        facts = {
            "algorithm": self.settings.algorithm,
            "levers": list(self.setting.levers),
            "features": list(FEATURE_NAMES),
            "seed": self.seed,
            "steps": decisions * self.hold,
            "settings": self.settings.model_dump(),
        }
        return facts | self._usage() | self.origin

    def _usage(self) -> dict[str, Any]:
        training_env = self.settings.training_env
        if training_env is None:
            return {}
        facts: dict[str, Any] = {"hold": training_env.hold}
        if training_env.margin_range is not None:
            facts["safety_margin"] = training_env.safety_margin
        if training_env.rule is not None:
            facts["residual"] = {
                "rule": training_env.rule,
                "parameters": rule_values(training_env),
                "scale": training_env.residual_scale,
                "plan": plan_facts(plan_spec(self.setting)),
            }
        return facts
