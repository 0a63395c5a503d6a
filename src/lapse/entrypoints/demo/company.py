"""The demo's small company: who works there, what is protected, which rules hold, and the database itself."""

from __future__ import annotations

RESOURCE = "pg-shop"
DATABASE = "shop"
PASSWORD = "demo-only-password"  # noqa: S105  of a private server on loopback that lives for one demo

CATALOG = """\
# Who works here, and what is protected. `lapse catalog apply` shows a plan and applies it atomically.
principals:
  - name: alice
    email: alice@shop.example
    department: payments
    accounts: [{resource: pg-shop, login: alice}]
  - name: bob
    email: bob@shop.example
    department: platform
    accounts: [{resource: pg-shop, login: bob}]
  - name: carol
    email: carol@shop.example
    department: platform
    accounts: [{resource: pg-shop, login: carol}]
  - name: dave
    email: dave@shop.example
    department: marketing
    accounts: [{resource: pg-shop, login: dave}]
  - name: admin
    email: admin@shop.example
    department: security
  - name: lapse
    kind: service
    owner: carol
    accounts: [{resource: pg-shop, login: lapse}]

groups:
  - name: engineers
    members: [alice, bob, carol]
  - name: dba
    members: [bob, carol]

resources:
  - name: pg-shop
    connector: postgresql
    title: the shop's production database
    owner: carol
    tags: {env: prod, data: customers}
    on_drift: report
    entitlements:
      - role: reader
        title: read orders and customers
        native: {role: shop_reader, mode: ephemeral}
      - role: support
        title: change orders
        tags: {level: write}
        native: {role: shop_support, mode: membership}
"""

POLICY = """\
# What may be asked for, under which terms. `lapse policy check FILE` finds mistakes before anybody relies on it.
version: 1

offers:
  - name: engineers-read
    description: Engineers read production for a task, after one database administrator agreed.
    entitlements: [pg-shop/reader]
    to: [group:engineers]
    max_duration: 2h
    justification: {min_length: 12}
    approvals:
      - name: dba
        from: [group:dba]

  - name: support-writes
    description: Changing orders takes a database administrator and the owner.
    entitlements: [pg-shop/support]
    to: [group:engineers]
    max_duration: 1h
    justification: {min_length: 12}
    approvals:
      - name: dba
        from: [group:dba]

limits:
  - name: production-is-short
    description: Nothing in production lasts longer than four hours, whatever an offer says.
    when: resource.tags.env == "prod"
    max_duration: 4h
"""

SCHEMA = f"""
CREATE TABLE customers (id int PRIMARY KEY, name text, email text);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, item text, paid boolean);
INSERT INTO customers SELECT n, 'customer ' || n, 'c' || n || '@example.com' FROM generate_series(1, 50) n;
INSERT INTO orders SELECT n, 1 + n % 50, 'item ' || n, n % 3 > 0 FROM generate_series(1, 200) n;
CREATE ROLE shop_reader;
CREATE ROLE shop_support;
GRANT SELECT ON customers, orders TO shop_reader, shop_support;
GRANT UPDATE ON orders TO shop_support;
CREATE ROLE alice LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE bob LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE carol LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE dave LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE oldadmin LOGIN SUPERUSER PASSWORD '{PASSWORD}';
"""  # noqa: S608  constants of this module only

PREPARATION = f"""
CREATE ROLE lapse LOGIN CREATEROLE PASSWORD '{PASSWORD}';
GRANT shop_reader, shop_support TO lapse WITH ADMIN OPTION;
GRANT pg_signal_backend, pg_read_all_stats TO lapse;
"""
"""What an administrator runs once, so that lapse can work there without being superuser."""
