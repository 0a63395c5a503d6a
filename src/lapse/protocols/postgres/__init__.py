"""The PostgreSQL frontend/backend protocol, versions 3.0 and 3.2, without I/O.

`framing` cuts the stream into messages, `frontend` and `backend` read and write the messages of clients and servers,
`startup` the packets before them; `scram` proves passwords; `accepting` and `connecting` are the two logins.
Words and layouts are those of the manual's chapter "Frontend/Backend Protocol".
"""
