"""Reading Okta's System Log: what happened to people, who was given which groups, apps and roles, and who signed in.

Called by the kind of source `okta`.
"""
