"""The gateway: sessions of every protocol, each tied to one grant, recorded, and cut at its one deadline.

`live` has the sessions of this process and their timers, `door` the one way in, `recording` what is kept of them;
`postgres` and `ssh` speak with clients and targets. Nothing here decides who may do what: `ports.ControlPlane` does.
"""
