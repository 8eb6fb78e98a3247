"""奈曼旗, the county of the demo: its bodies and people, and the histories of its two hundred disputes."""
