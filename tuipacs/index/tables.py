"""peewee's view of the tables of accounts, sessions and jobs.

The models carry no database: every query names the one it runs on (``query.execute(tx.database)``),
so several archives can be open in one process. The truth is in ``schema/*.sql``; a test compares.
"""

from __future__ import annotations

from peewee import (
    AutoField,
    BlobField,
    BooleanField,
    FloatField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)


class User(Model):
    """Accounts."""

    id = AutoField()
    name = TextField()
    role = TextField()
    password = TextField()
    disabled = BooleanField(default=False)
    created_at = FloatField()
    last_login_at = FloatField(null=True)
    failed_logins = IntegerField(default=0)
    blocked_until = FloatField(null=True)

    class Meta:
        table_name = "user"
        legacy_table_names = False


class Session(Model):
    """Logins; only the hash of a token is kept."""

    id = AutoField()
    token_sha256 = BlobField()
    user = ForeignKeyField(User, column_name="user")
    client = TextField()
    created_at = FloatField()
    active_at = FloatField()
    expires_at = FloatField()
    locked = BooleanField(default=False)
    unix_user = TextField()
    terminal = TextField()
    ssh_client = TextField()

    class Meta:
        table_name = "session"


class Job(Model):
    """Durable jobs."""

    id = AutoField()
    kind = TextField()
    state = TextField()
    title = TextField()
    payload = TextField()
    submitted_by = TextField()
    created_at = FloatField()
    started_at = FloatField(null=True)
    finished_at = FloatField(null=True)
    total = IntegerField(default=0)
    done = IntegerField(default=0)
    stored = IntegerField(default=0)
    duplicate = IntegerField(default=0)
    refused = IntegerField(default=0)
    bytes_done = IntegerField(default=0)
    done_before = IntegerField(default=0)
    checkpoint = BlobField(default=b"")
    cancel_requested = BooleanField(default=False)
    message = TextField(default="")
    node = IntegerField(default=0)
    node_title = TextField(default="")
    priority = IntegerField(default=1)
    attempts = IntegerField(default=0)
    retry_at = FloatField(null=True)
    begun_at = FloatField(null=True)
    warned = IntegerField(default=0)
    failed = IntegerField(default=0)
    pause_requested = BooleanField(default=False)

    class Meta:
        table_name = "job"


class JobRefusal(Model):
    """What an import did not take."""

    id = AutoField()
    job = ForeignKeyField(Job, column_name="job", on_delete="CASCADE")
    path = TextField()
    reason = TextField()

    class Meta:
        table_name = "job_refusal"


ALL = (User, Session, Job, JobRefusal)
