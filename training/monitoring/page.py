def render_monitoring(found, result, settings): return ""
