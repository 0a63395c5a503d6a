"""Who people are: the catalog's files now; OIDC, SCIM and passkeys later."""
