"""What PostgreSQL writes about its use: csvlog, jsonlog, the lines of pgaudit in them, pg_stat_statements.

Text in, lines, statements and changes of roles out. Called by the kinds `postgresql-log` and `pg-stat-statements`.
"""
