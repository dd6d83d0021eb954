"""What the figures say, in sentences: the best learner against the best rule and against the bars
of the benchmark, and the user's own agents against the best rule.
"""

from collections.abc import Sequence
from typing import NamedTuple

from .paired import paired_difference, paired_gain
from .results import AgentResult
from .statistics import Interval
from .summary import Summary, best, ranked, relative_score

SHARE_BARS = {
    "Bidding": 0.90,
    "Allocation": 0.90,
    "Coupon": 0.90,
    "SuperPlan": 0.85,
    "WholeShop": 0.85,
}
SHARE_BAR = 0.85  # of the clairvoyant's gain over doing nothing, on a task that is not listed
VIOLATION_BAR = 0.05  # share of episodes with ROI under 0.98 of the target
SHORTFALL_BAR = 0.01  # mean, of the target
RISKS = (0.01, 0.05, 0.2, 1.0)  # violation rates that a user may choose among
SMALLEST = 0.01  # effect of interest, of the score; fixed before any benchmark is run
BETTER, EQUAL, UNDECIDED, WORSE = "better", "equal within 1 %", "undecided", "worse"
SPEND_BAR = 1 + 1e-9  # of the budget; above it only rounding


class Bar(NamedTuple):
    """One bar, and whether it is met; `met` is None where the figure is not there."""

    name: str
    text: str
    met: bool | None


class OwnComparison(NamedTuple):
    """An agent of the user's own against the task's best rule, on the same episodes."""

    agent: str
    rule: str
    gain: Interval  # IQM of the agent / IQM of the rule - 1
    difference: Interval  # mean difference of the scores over doing nothing


class Verdict(NamedTuple):
    """The best learner of a task against the best rule; None where there is no such agent."""

    task: str
    learner: Summary | None
    rule: Summary | None
    # above, below or overlap: the learner's interval against the rule's; empty without either
    apart: str
    gain: Interval | None  # on the same episodes: IQM of the learner / IQM of the rule - 1
    bars: list[Bar]
    own: Sequence[OwnComparison] = ()  # agents of the user's own
    # the best learner against the best shift of a rule: what is more than retuning
    adaptivity: OwnComparison | None = None


def judge(
    task: str,
    rows: list[Summary],
    gain: Interval | None,
    own: Sequence[OwnComparison] = (),
    adaptivity: OwnComparison | None = None,
) -> Verdict:
    """Compare the best learner of a task with its best rule and with the bars.

    Args:
        task: its name.
        rows: summaries, of this and other tasks.
        gain: of the one over the other (`gain_over_rule`).
        own: comparisons of the user's own agents (`compare_own`).
        adaptivity: of the best learner over the best shift of a rule (`adaptivity_of`).
    """
    learner, rule = rivals(task, rows)
    apart = ""
    if learner and rule:
        one, two = compared(learner, rule)
        apart = "above" if one.low > two.high else "below" if one.high < two.low else "overlap"
    held_to = [better_bar(gain), *bars(learner)] if learner else []
    return Verdict(task, learner, rule, apart, gain, held_to, tuple(own), adaptivity)


def rivals(task: str, rows: list[Summary]) -> tuple[Summary | None, Summary | None]:
    """The best learner of a task and its best rule: of those in the final, if both have somebody
    there.
    """
    mine = [row for row in rows if row.task == task]
    finalists = [row for row in mine if row.final]
    learner, rule = (
        max(
            (row for row in finalists if row.kind == kind),
            key=lambda row: row.final or row.score,
            default=None,
        )
        for kind in ("learner", "rule")
    )
    return (learner, rule) if learner and rule else (best(mine, "learner"), best(mine, "rule"))


def compared(learner: Summary, rule: Summary) -> tuple[Interval, Interval]:
    """The scores that decide between two rivals: of the final, if both are in it."""
    return (
        (learner.final, rule.final) if learner.final and rule.final else (learner.score, rule.score)
    )


def gain_over_rule(task: str, rows: list[Summary], results: list[AgentResult]) -> Interval | None:
    """IQM of the best learner over IQM of the best rule, less 1, on the same episodes; None without
    the results of either.

    Args:
        task: its name.
        rows: summaries, of this and other tasks.
        results: the results they were made of.
    """
    known = {result.agent: result for result in results if result.task == task}
    one, two = (known.get(row.agent) if row else None for row in rivals(task, rows))
    if one is None or two is None:
        return None
    if one.final is not None and two.final is not None:
        return paired_gain(one.final, two.final)
    return paired_gain(relative_score(one), relative_score(two))


def paired_with_rule(task: str, rows: list[Summary], results: list[AgentResult]) -> list[Summary]:
    """The rows of a task, each with its gain over the task's best rule on the same episodes.

    Args:
        task: its name.
        rows: summaries, of this and other tasks.
        results: of agents that were played here; others keep what they have.
    """
    rule = best(rows, "rule", task)
    known = {result.agent: result for result in results if result.task == task}
    if rule is None or rule.agent not in known:
        return rows
    theirs = relative_score(known[rule.agent])

    def paired(row: Summary) -> Summary:
        if row.task != task or row.agent not in known or row.kind == "reference":
            return row
        if row.agent == rule.agent:
            return row
        mine = relative_score(known[row.agent])
        count = min(mine.shape[1], theirs.shape[1])
        return row._replace(over_rule=paired_gain(mine[:, :count], theirs[:, :count]))

    return [paired(row) for row in rows]


def compare_own(task: str, rows: list[Summary], results: list[AgentResult]) -> list[OwnComparison]:
    """Every agent of the user's own against the task's best rule, best agent first.

    Args:
        task: its name.
        rows: summaries, of this and other tasks.
        results: of the agents and, to be compared with, of the best rule.
    """
    rule = rivals(task, rows)[1]
    known = {result.agent: result for result in results if result.task == task}
    if rule is None or rule.agent not in known:
        return []
    found = []
    for row in ranked([row for row in rows if row.task == task and row.kind == "own"]):
        mine = relative_score(known[row.agent])
        count = min(mine.shape[1], known[rule.agent].episodes)
        theirs = relative_score(known[rule.agent])[:, :count]
        gain = paired_gain(mine[:, :count], theirs)
        difference = paired_difference(mine[:, :count], theirs)
        found.append(OwnComparison(row.agent, rule.agent, gain, difference))
    return found


def word(gain: Interval) -> str:
    """What the paired 95 % interval of a relative difference says, the smallest effect of interest
    being 1 %: better (above +1 %), worse (under -1 %), equal within 1 %, or undecided.
    """
    if gain.low > SMALLEST:
        return BETTER
    if gain.high < -SMALLEST:
        return WORSE
    return EQUAL if gain.low >= -SMALLEST and gain.high <= SMALLEST else UNDECIDED


def adaptivity_of(
    task: str, rows: list[Summary], results: list[AgentResult]
) -> OwnComparison | None:
    """The best learner of a task against its best shift of a rule (+ constant, + schedule, + start
    facts), on the same episodes; None without either.
    """
    mine = [row for row in rows if row.task == task]
    learner, shift = best(mine, "learner"), best(mine, "shift")
    known = {result.agent: result for result in results if result.task == task}
    if not learner or not shift or not {learner.agent, shift.agent} <= known.keys():
        return None
    one, two = (relative_score(known[row.agent]) for row in (learner, shift))
    count = min(one.shape[1], two.shape[1])
    one, two = one[:, :count], two[:, :count]
    return OwnComparison(
        learner.agent, shift.agent, paired_gain(one, two), paired_difference(one, two)
    )


def adaptivity_sentence(verdict: Verdict) -> str:
    """What the best learner gains over the best shift of a rule; empty where there is none."""
    found = verdict.adaptivity
    if found is None:
        return ""
    said = _said(found.agent, f"the best shift of a rule, {found.rule}")[word(found.gain)]
    return f"Adaptivity, paired on the same episodes: {said}: {change(found.gain)}."


def better_bar(gain: Interval | None) -> Bar:
    """The bar that the learner is better than the best rule."""
    name = "better than the best rule"
    if gain is None:
        return Bar(name, "not compared on the same episodes", None)
    return Bar(name, f"{word(gain)}, {change(gain)}", word(gain) == BETTER)


def bars(row: Summary) -> list[Bar]:
    """The bars that an agent is held to, with by how much each is met or missed."""
    wanted = SHARE_BARS.get(row.task, SHARE_BAR)
    share = row.clairvoyant.iqm.value if row.clairvoyant.iqm else None
    highest = row.highest_budget_use
    spent = None if highest is None else highest <= SPEND_BAR
    return [
        _least("share of clairvoyant", share, wanted),
        _most("violations", row.violation_rate, VIOLATION_BAR, 1),
        _most("mean shortfall", row.mean_shortfall, SHORTFALL_BAR, 2),
        Bar(
            "spend within budget",
            "not known"
            if highest is None
            else "never above"
            if spent
            else f"up to {percent(highest)} of the budget",
            spent,
        ),
    ]


def _least(name: str, value: float | None, bar: float) -> Bar:
    if value is None:
        return Bar(name, f"not known (bar {percent(bar, 0)})", None)
    missed = "" if value >= bar else f", missed by {100 * (bar - value):.1f} points"
    return Bar(name, f"{percent(value)} (bar {percent(bar, 0)}{missed})", value >= bar)


def _most(name: str, value: float | None, bar: float, digits: int) -> Bar:
    if value is None:
        return Bar(name, f"not known (bar {percent(bar, 0)})", None)
    missed = "" if value <= bar else f", missed by {100 * (value - bar):.{digits}f} points"
    return Bar(name, f"{percent(value, digits)} (bar {percent(bar, 0)}{missed})", value <= bar)


def sentence(verdict: Verdict) -> str:
    """Who wins, said as it is."""
    learner = verdict.learner
    rule = verdict.rule
    if not learner or not rule:
        who = learner or rule
        return (
            f"Only {who.kind}s were judged; the best is {who.agent} with {interval(who.score)}."
            if who
            else "Nobody was judged."
        )
    final = learner.final is not None and rule.final is not None
    one, two = (interval(score, 4 if final else 3) for score in compared(learner, rule))
    runs = f"{learner.seeds} training seed{'' if learner.seeds == 1 else 's'}"
    place = f" in a final of {learner.final_episodes:,} held-out episodes" if final else ""
    if verdict.gain is None:
        apart = "intervals overlap" if verdict.apart == "overlap" else "intervals apart"
        return (
            f"The best learner, {learner.agent} ({runs}), and the best rule, {rule.agent}, were "
            f"not compared on the same episodes: {one} against {two}, {apart}{place}."
        )
    said = _said(f"the best learner, {learner.agent} ({runs}),", f"the best rule, {rule.agent}")
    return (
        f"Paired on the same episodes, {said[word(verdict.gain)]}: "
        f"{change(verdict.gain, 2 if final else 1)}; scores {one} against {two}{place}."
    )


def _said(one: str, two: str) -> dict[str, str]:
    """The verdicts as the beginning of a sentence."""
    return {
        BETTER: f"{one} is better than {two}",
        EQUAL: f"{one} and {two}, are equal within 1 %".replace(",,", ","),
        UNDECIDED: f"{one} against {two}, is undecided",
        WORSE: f"{one} is worse than {two}",
    }


def change(gain: Interval, digits: int = 1) -> str:
    """+1.2 % (+0.9 to +1.5)."""
    value, low, high = (100 * x for x in gain)
    return f"{value:+.{digits}f} % ({low:+.{digits}f} to {high:+.{digits}f})"


def own_sentences(verdict: Verdict) -> list[str]:
    """A sentence for every agent of the user's own."""
    return [
        "Paired on the same episodes, "
        f"{_said(one.agent, f'the best rule, {one.rule}')[word(one.gain)]}: "
        f"{change(one.gain)}; the mean difference is {one.difference.value:+.3f} "
        f"[{one.difference.low:+.3f}, {one.difference.high:+.3f}] of doing nothing."
        for one in verdict.own
    ]


def headline(verdict: Verdict) -> str:
    """The verdict in one breath: `PPO is worse than the best rule, MPC: -24.6 % of its score`."""
    learner = verdict.learner
    rule = verdict.rule
    gains = {one.agent: (one.rule, one.gain) for one in verdict.own}
    if learner and rule and verdict.gain:
        gains[learner.agent] = (rule.agent, verdict.gain)
    words = []
    for agent, (name, gain) in gains.items():
        value, low, high = (100 * x for x in gain)
        words.append(
            f"{_said(agent, f'the best rule, {name}')[word(gain)]}: {value:+.1f} % of its score "
            f"(paired 95 % interval {low:+.1f} to {high:+.1f} %)."
        )
    if words:
        return "\n".join(words)
    best_one = rule or learner
    return f"Best: {best_one.agent}." if best_one else "No results yet."


def by_risk(rows: list[Summary], limits: tuple[float, ...] = RISKS) -> list[tuple[float, Summary]]:
    """For each violation rate that one may accept, the rule or learner of the highest score within
    it.

    Args:
        rows: of one task.
        limits: accepted violation rates, increasing; those within which there is nobody are left
            out.
    """
    found = []
    for limit in limits:
        safe = [
            row
            for row in rows
            if row.kind != "reference"
            and row.violation_rate is not None
            and row.violation_rate <= limit
        ]
        if safe:
            found.append((limit, max(safe, key=lambda row: row.score.value)))
    return found


def risk_sentence(rows: list[Summary]) -> str:
    """What a user gets for the risk they choose; `rows` are of one task."""
    parts = [
        f"at most {percent(limit, 0)}: {row.agent} ({row.score.value:.3f}, violated "
        f"{percent(row.violation_rate)})"
        for limit, row in by_risk(rows)
    ]
    return (
        "Highest score by the violation rate one accepts – " + "; ".join(parts) + "."
        if parts
        else ""
    )


def bars_sentence(verdict: Verdict) -> str:
    """Every bar of the best learner with its figure."""
    words = {True: "met", False: "MISSED", None: "open"}
    return (
        "; ".join(f"{bar.name}: {bar.text} – {words[bar.met]}" for bar in verdict.bars) + "."
        if verdict.bars
        else ""
    )


def percent(value: float | None, digits: int = 1) -> str:
    """0.1234 as 12.3 %; a dash for None."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def interval(value: Interval, digits: int = 3) -> str:
    """1.234 [1.200, 1.260]."""
    return f"{value.value:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"
