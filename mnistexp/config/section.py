"""What all sections of a configuration have in common."""

from pydantic import BaseModel, ConfigDict


class ConfigSection(BaseModel):
    """Frozen, strict about types, closed to unknown keys, finite numbers only."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
