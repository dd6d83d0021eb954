"""How a number is declared: default, unit, range and source, in one line beside its meaning.

Every number of the world is declared with one of these functions, so that `chengfang scenarios
show` can print what it means and validation can say what is allowed.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCENES = ("feed", "live", "mall", "search")
POOLS = ("natural", "transaction", "ad")
FREE_POOLS = ("natural", "transaction")
SEGMENTS = ("new", "price_sensitive", "regular", "loyal")
TIERS = ("hot", "trending", "potential")
WINDOWS = ("1h", "7d", "14d", "90d")

Scene = Literal["feed", "live", "mall", "search"]
Pool = Literal["natural", "transaction", "ad"]
FreePool = Literal["natural", "transaction"]
Segment = Literal["new", "price_sensitive", "regular", "loyal"]
Tier = Literal["hot", "trending", "potential"]
Window = Literal["1h", "7d", "14d", "90d"]

ASSUMED = "assumption"


class Section(BaseModel):
    """One chapter of a scenario; unknown fields are refused, values are frozen once validated."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Every table has all the keys of its default."""
        problems = [
            line
            for name, info in type(self).model_fields.items()
            if isinstance(info.default, dict)
            for line in _lacking(name, getattr(self, name), info.default)
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self


def quantity(
    default: Any, unit: str, low: float, high: float, meaning: str, source: str = ASSUMED
) -> Any:
    """A scalar field with its unit, allowed range [low, high], meaning and source."""
    return Field(
        default,
        ge=low,
        le=high,
        description=meaning,
        json_schema_extra=_facts(unit, low, high, source),
    )


def switch(default: Any, meaning: str, source: str = ASSUMED) -> Any:
    """A field that chooses between named or boolean alternatives."""
    return Field(
        default, description=meaning, json_schema_extra={"unit": "choice", "source": source}
    )


def table(
    keys: tuple[str, ...], values: tuple[float, ...], unit: str, meaning: str, source: str = ASSUMED
) -> Any:
    """A field with one number per key (scene, pool, segment, tier or window); its element type
    bounds each number.
    """
    return Field(
        dict(zip(keys, values, strict=True)),
        description=meaning,
        json_schema_extra={"unit": unit, "source": source},
    )


def series(values: list[float], length: int, unit: str, meaning: str, source: str = ASSUMED) -> Any:
    """A field holding a list of fixed length, such as 24 hourly factors."""
    return Field(
        values,
        min_length=length,
        max_length=length,
        description=meaning,
        json_schema_extra={"unit": unit, "source": source},
    )


def bounded(low: float, high: float) -> Any:
    """Bounds of a float in [low, high], for the elements of tables and series: `Annotated[float,
    bounded(0, 1)]`.
    """
    return Field(ge=low, le=high)


def _lacking(path: str, value: dict[Any, Any], whole: dict[Any, Any]) -> list[str]:
    missing = [str(key) for key in whole if key not in value]
    if missing:
        return [
            f"{path} lacks {', '.join(missing)}; it must have all of {', '.join(map(str, whole))}"
        ]
    return [
        line
        for key, part in whole.items()
        if isinstance(part, dict)
        for line in _lacking(f"{path}.{key}", value[key], part)
    ]


def _facts(unit: str, low: float, high: float, source: str) -> dict[str, Any]:
    return {"unit": unit, "low": low, "high": high, "source": source}
