"""The insight card for CRM screens."""

from serving.panel.render import content_security_policy, render_locked, render_message, render_panel

__all__ = ["content_security_policy", "render_locked", "render_message", "render_panel"]
