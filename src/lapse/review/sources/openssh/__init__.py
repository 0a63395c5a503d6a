"""What OpenSSH says about access: authorized_keys files, and the logs of sshd.

Text in, keys, logins and sessions out. Called by the kinds `authorized-keys` and `sshd-log`.
"""
