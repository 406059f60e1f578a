"""The one place that picks concrete classes: an archive from its folder and its settings."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuipacs import __version__
from tuipacs.config import Config, JobsSettings, TlsSettings, render
from tuipacs.dicom.pixels.process import PixelWorker, PixelWorkers
from tuipacs.dicom.transcoding.process import Transcoder, Transcoders
from tuipacs.dimse.acceptor.listener import Listener
from tuipacs.dimse.contract import ListenerSettings, ServiceProvider
from tuipacs.dimse.tls import ServerTls, files_of
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.clock import Clock, system_clock
from tuipacs.domain.job import JobKind
from tuipacs.domain.safe_text import clean
from tuipacs.domain.system import Health, TlsHealth
from tuipacs.folder import check_empty, make_folder, write_private
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.jobs.commit import CommitObjects, Committing
from tuipacs.jobs.commitment_reporter import CommitmentReporter
from tuipacs.jobs.endings import RetryPolicy
from tuipacs.jobs.import_files import ImportFiles
from tuipacs.jobs.retrieve import RetrieveObjects
from tuipacs.jobs.router import Router
from tuipacs.jobs.runner import JobRunner
from tuipacs.jobs.send import SendObjects
from tuipacs.lock import ArchiveLock
from tuipacs.paths import ArchivePaths
from tuipacs.scp.c_echo import EchoProvider
from tuipacs.scp.c_find import FindProvider
from tuipacs.scp.c_get import GetProvider
from tuipacs.scp.c_move import MoveProvider
from tuipacs.scp.c_store import StoreProvider
from tuipacs.scp.n_action import CommitProvider
from tuipacs.scp.n_event_report import ReportProvider, taking_report
from tuipacs.services.alerts import Alerts
from tuipacs.services.audit import Audit
from tuipacs.services.authentication import Authentication
from tuipacs.services.browse import Browse
from tuipacs.services.calling import Calling
from tuipacs.services.commitment_check import CommitmentCheck
from tuipacs.services.commitment_requests import CommitmentRequests
from tuipacs.services.commitments import Commitments
from tuipacs.services.identities import Identities
from tuipacs.services.imports import Imports
from tuipacs.services.incoming import Incoming
from tuipacs.services.incoming_board import IncomingBoard
from tuipacs.services.ingest import Ingest
from tuipacs.services.jobs import Jobs
from tuipacs.services.node_checks import Checks
from tuipacs.services.nodes import Nodes
from tuipacs.services.objects import Objects
from tuipacs.services.own_address import Listening
from tuipacs.services.password_hash import PasswordHasher
from tuipacs.services.query import Query
from tuipacs.services.remote import Remote
from tuipacs.services.remote_tasks import Tasks
from tuipacs.services.retrievals import Retrievals
from tuipacs.services.retrieve import Retrieve
from tuipacs.services.routing import Routes
from tuipacs.services.routing_judge import Judging
from tuipacs.services.send import Send
from tuipacs.services.sessions import Sessions
from tuipacs.services.system import System
from tuipacs.services.transfer import Transfer
from tuipacs.services.transfer_records import record_transfers
from tuipacs.services.users import Users
from tuipacs.services.verification import Verification
from tuipacs.services.wakeups import Wakeups
from tuipacs.storage.local import LocalStore
from tuipacs.storage.quarantine import Quarantine

log = logging.getLogger(__name__)

_TRANSCODERS = 2  # processes; each starts with the first object that has to be transcoded
_DECODERS = 2  # processes; each starts with the first picture that finds the others busy
_JOB_SECONDS = 5.0  # for the object a job is at, however long the associations took


@dataclass(frozen=True, kw_only=True)
class Services:
    """Operation ``x.y`` of `tuipacs.schema.operations` is method ``y`` of attribute ``x``."""

    sessions: Sessions
    users: Users
    nodes: Nodes
    incoming: Incoming
    browse: Browse
    imports: Imports
    jobs: Jobs
    send: Send
    audit: Audit
    system: System
    objects: Objects
    remote: Remote
    retrievals: Retrievals
    commitments: Commitments
    routes: Routes


class Archive:
    """Everything of one archive, built but not started. The caller holds the archive's lock."""

    def __init__(
        self,
        paths: ArchivePaths,
        config: Config,
        *,
        login_hint: str = "",
        clock: Clock = system_clock,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.paths = paths
        self.config = config
        self.wakeups = Wakeups()
        self.on_stop: Callable[[], None] = lambda: None  # what `system.stop` asks for
        self._login_hint = login_hint
        self._started_at = clock()
        hasher = hasher or PasswordHasher()
        self._tls = _server_tls(config.tls, paths.root)
        self._index = Index(paths.index)
        migrate(self._index)
        index = self._index
        reserve = config.storage.reserve_mb << 20
        store = LocalStore(paths.objects, reserve=reserve)
        quarantine = Quarantine(paths.quarantine, reserve=reserve)
        authentication = Authentication(index, clock, hasher)
        sessions = Sessions(
            index,
            clock,
            hasher,
            authentication=authentication,
            lock_after=config.security.lock_after_minutes * 60.0,
            command_seconds=config.security.command_session_hours * 3600.0,
        )
        self._transfer = Transfer(
            index,
            store,
            Transcoders([Transcoder() for _ in range(_TRANSCODERS)]),
            folder=paths.root,
            reserve=reserve,
        )
        self._ingest = Ingest(index, clock, store, quarantine, self.wakeups)
        verification = Verification(index, clock)
        board = IncomingBoard(
            Alerts(index, clock),
            clock,
            self.wakeups.incoming,
            flushes=(verification.flush, authentication.flush),
        )
        calling = Calling(index, config.dicom.ae_title, files_of(config.tls, paths.root))
        calling.listening = self._listening
        self._checks = Checks()
        nodes = Nodes(
            index,
            clock,
            unknown_callers=UnknownCallers(config.dicom.unknown_callers),
            calling=calling,
            checks=self._checks,
        )
        retrieve = Retrieve(index, clock, self._transfer, calling, config.dicom.ae_title)
        commitments = Commitments(index, clock, self.wakeups, calling)
        requests = CommitmentRequests(index, clock)
        self._reporter = CommitmentReporter(index, clock, calling, CommitmentCheck(index, store))
        requests.on_request = self._reporter.wake
        self.providers: tuple[ServiceProvider, ...] = (
            EchoProvider(nodes, verification),
            StoreProvider(nodes, self._ingest, config.dicom.refuse_sop_classes),
            FindProvider(
                nodes,
                Query(index, clock, store),
                config.dicom.ae_title,
                config.dicom.max_find_results,
            ),
            MoveProvider(nodes, retrieve, on_thread_end=index.close),
            GetProvider(nodes, retrieve),
            CommitProvider(nodes, requests, self._reporter, config.dicom.ae_title),
            ReportProvider(nodes, commitments),
        )
        self._listener = Listener(
            _listener_settings(config),
            admit=nodes.admit,
            providers=self.providers,
            observer=board,
            on_thread_end=index.close,
            tls=self._tls,
            identify=Identities(index, clock, authentication).verify,
            expects=nodes.expects,
        )
        accounts = Users(index, clock, hasher, sessions)
        accounts.on_disable = self._account_disabled
        if self._tls is not None:
            self._tls.on_distrust = self._listener.distrust
        send = Send(index, clock, self.wakeups, calling)
        retrievals = Retrievals(index, clock, self.wakeups, calling)
        committing = Committing(
            index,
            clock,
            commitments,
            lambda node, request: taking_report(commitments, node, request),
        )
        self._runner = JobRunner(
            index,
            clock,
            sessions,
            self.wakeups,
            {
                JobKind.IMPORT: ImportFiles(index, self._ingest),
                JobKind.SEND: SendObjects(index, send, self._transfer, committing),
                JobKind.COMMIT: CommitObjects(index, committing),
                JobKind.RETRIEVE: RetrieveObjects(index, retrievals, self._ingest, self.wakeups),
            },
            policy=_retry_policy(config.jobs),
            on_leave=lambda tx, record: record_transfers(tx, record, clock()),
        )
        send.on_submit = self._runner.wake
        commitments.on_submit = commitments.on_report = self._runner.wake
        retrievals.on_submit = self._runner.wake
        nodes.on_change = self._nodes_changed
        imports = Imports(index, clock, self.wakeups)
        imports.on_submit = self._runner.wake
        quiet_seconds = config.routing.quiet_seconds
        judging = Judging(index, clock, self.wakeups, quiet_seconds=quiet_seconds)
        judging.on_submit = self._runner.wake
        self._router = Router(judging, sessions, self.wakeups, clock, on_thread_end=index.close)
        routes = Routes(index, clock, quiet_seconds=quiet_seconds)
        routes.on_change = self._router.wake
        jobs = Jobs(index, clock, self.wakeups, calling, config.jobs.retries)
        jobs.on_change = self._runner.look
        self._asked = Tasks(clock)
        self._pictures = PixelWorkers([PixelWorker() for _ in range(_DECODERS)])
        self.services = Services(
            sessions=sessions,
            users=accounts,
            nodes=nodes,
            incoming=Incoming(index, clock, board),
            browse=Browse(index, clock),
            objects=Objects(index, clock, store, self._pictures),
            imports=imports,
            jobs=jobs,
            send=send,
            audit=Audit(index, clock),
            remote=Remote(index, clock, calling, self._asked, self._checks),
            retrievals=retrievals,
            commitments=commitments,
            routes=routes,
            system=System(
                index,
                clock,
                paths=paths,
                store=store,
                quarantine=quarantine,
                health=self._health,
                associations=lambda: self._listener.associations_open,
                stop=lambda: self.on_stop(),
                reserve=reserve,
                unknown_callers=config.dicom.unknown_callers,
            ),
        )

    def _listening(self) -> Listening:
        ports = (self._listener.port, self._listener.tls_port)
        return Listening(self.config.dicom.host, tuple(port for port in ports if port))

    def _account_disabled(self) -> None:
        """What goes on in that name ends."""
        self._listener.recheck("an account was disabled")
        self._runner.look()

    def _nodes_changed(self) -> None:
        """Associations and jobs of nodes that are others now, or gone, end."""
        self._listener.recheck()
        self._runner.look()

    def _health(self) -> Health:
        return Health(
            version=__version__,
            pid=os.getpid(),
            ae_title=self.config.dicom.ae_title,
            host=self.config.dicom.host,
            port=self._listener.port,
            receiving=self._listener.receiving,
            receiving_reason="" if self._listener.receiving else "it is starting or stopping",
            started_at=self._started_at,
            login_hint=self._login_hint,
            tls=self._tls_health(),
        )

    def _tls_health(self) -> TlsHealth | None:
        if self._tls is None:
            return None
        self.refresh_tls()
        state = self._tls.state
        return TlsHealth(
            port=self._listener.tls_port,
            subject=clean(state.facts.subject, limit=80),
            sha256=state.facts.sha256,
            expires_at=state.facts.not_after,
            problem=clean(state.problem, limit=300),
        )

    def refresh_tls(self) -> None:
        """Take TLS files that were replaced; a connection does that as well."""
        if self._tls is not None:
            self._tls.refresh()

    def recover(self) -> None:
        """Bring files and rows together after a crash."""
        self._ingest.recover()

    def start(self) -> None:
        """Receive, and run jobs. Raises `UnavailableError` when the DICOM port is taken."""
        self._listener.start()
        self._runner.start()
        self._router.start()
        self._reporter.start()
        self.services.system.started()

    def stop(self, seconds: float) -> None:
        """Finish what is being received, let jobs note how far they are; at most ``seconds``."""
        deadline = time.monotonic() + seconds
        self._asked.stop()
        self._checks.stop()
        cut = self._listener.drain(seconds)
        self._router.stop(_JOB_SECONDS)
        self._reporter.stop(_JOB_SECONDS)
        self._runner.stop(max(_JOB_SECONDS, deadline - time.monotonic()))
        if cut:
            log.warning("%d associations were cut off: they took too long to finish", cut)
        self.services.system.stopped()

    def close(self) -> None:
        """End the decoders and close the index."""
        self._pictures.close()
        self._transfer.close()
        self._index.close()


def _retry_policy(settings: JobsSettings) -> RetryPolicy:
    return RetryPolicy(
        retries=settings.retries,
        first_delay=float(settings.first_delay),
        longest_delay=float(settings.longest_delay),
        history=settings.history_days * 86400.0,
    )


def _server_tls(settings: TlsSettings, root: Path) -> ServerTls | None:
    files = files_of(settings, root)
    if files is None:
        return None
    return ServerTls(files, require_certificate=settings.require_client_certificate)


def _listener_settings(config: Config) -> ListenerSettings:
    dicom = config.dicom
    return ListenerSettings(
        is_plain=not config.tls.only,
        tls_port=config.tls.port,
        ae_title=dicom.ae_title,
        host=dicom.host,
        port=dicom.port,
        check_called_ae=dicom.check_called_ae,
        max_associations=dicom.max_associations,
        max_associations_per_ae=dicom.max_associations_per_ae,
        max_associations_per_address=dicom.max_associations_per_address,
        max_pdu=dicom.max_pdu,
        acse_timeout=dicom.acse_timeout,
        dimse_timeout=dicom.dimse_timeout,
        idle_timeout=dicom.idle_timeout,
    )


def create_archive(
    paths: ArchivePaths,
    config: Config,
    admin_name: str,
    admin_password: str,
    *,
    hasher: PasswordHasher | None = None,
) -> None:
    """Make a new archive with its first administrator.

    Raises `ConflictError` for a folder in use, `UsageError` for a name or password that will not
    do, `StorageFailedError` when the place cannot be written. ``archive.toml`` comes last: without
    it the folder is no archive. A failed attempt leaves an empty folder.
    """
    make_folder(paths)
    before = os.umask(0o077)
    try:
        with ArchiveLock(paths.lock):
            check_empty(paths)  # again: nobody else can have come in from here on
            try:
                archive = Archive(paths, config, hasher=hasher)
                try:
                    archive.services.users.create_first_admin(admin_name, admin_password)
                finally:
                    archive.close()
                write_private(paths.config, render(config))
            except BaseException:
                _remove_unfinished(paths)
                raise
    finally:
        os.umask(before)


def _remove_unfinished(paths: ArchivePaths) -> None:
    """Take away what a failed `create_archive` has made; nothing was ever stored there."""
    for path in paths.root.glob(f"{paths.index.name}*"):
        path.unlink()
    for folder in (paths.objects, paths.quarantine):
        if folder.is_dir():
            folder.rmdir()
