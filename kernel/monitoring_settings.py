"""``[monitoring]`` of ``foresight.toml``: from when on a change is worth a look, or an alarm."""

from __future__ import annotations

from pydantic import Field, model_validator

from kernel.section import Section


class MonitoringSettings(Section):
    """What ``foresight monitor`` calls a change. Nothing counts before the whole interval of a figure lies beyond.

    ``psi_watch``, ``psi_alarm``: of a feature or a score. ``auc_drop``: by how much the AUC may lie below what the
    back-test promised; ``calibration``: by what share churners or spend may be more or fewer than expected. Beyond half
    of these two is worth a look, beyond them an alarm.
    """

    psi_watch: float = Field(default=0.1, gt=0, le=5)
    psi_alarm: float = Field(default=0.25, gt=0, le=5)
    auc_drop: float = Field(default=0.05, gt=0, le=0.5)
    calibration: float = Field(default=0.25, gt=0, le=5)

    @model_validator(mode="after")
    def _ordered(self) -> MonitoringSettings:
        if self.psi_watch >= self.psi_alarm:
            raise ValueError("psi_watch must be less than psi_alarm")
        return self
