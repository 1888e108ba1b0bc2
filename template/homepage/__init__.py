"""The page: its views, URLs, templates and static files. All of it is the team's to edit."""
