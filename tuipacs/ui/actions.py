"""The one registry of what a person can do: keys, footer, help and palette are made from it."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType

from tuipacs.domain.permissions import Permission, roles_with

GLOBAL = "global"
LIST = "list"
P = Permission


@dataclass(frozen=True)
class Action:
    """One thing to do. ``keys`` are Textual key names; ``shown`` is how a person reads them.

    ``needs`` names a condition that the screen judges (`WorkScreen.lacks`); ``footer`` ranks the
    action in the footer (1 first, 0 not shown).
    """

    id: str
    title: str
    keys: str
    shown: str
    permission: Permission | None = None
    needs: str = ""
    footer: int = 0
    about: str = ""

    @property
    def scope(self) -> str:
        """The screen it belongs to, or ``global``."""
        return self.id.partition(".")[0]

    @property
    def method(self) -> str:
        """The name of the Textual action that carries it out."""
        return self.id.partition(".")[2].replace("-", "_")


ACTIONS: tuple[Action, ...] = (
    # --- everywhere
    Action("global.help", "Help", "question_mark,f1", "?", footer=98, about="search all actions"),
    Action("global.palette", "Command palette", "ctrl+p", "^p"),
    Action("global.command", "Command line", "colon", ":", footer=97),
    Action("global.back", "Back one step", "escape", "esc"),
    Action("global.go-archive", "Go to the archive", "", "g a", P.BROWSE),
    Action("global.go-incoming", "Go to incoming", "", "g i", P.VIEW_INCOMING),
    Action("global.go-query", "Go to query/retrieve", "", "g q", P.QUERY_NODES),
    Action("global.go-jobs", "Go to jobs", "", "g j", P.VIEW_JOBS),
    Action("global.go-nodes", "Go to nodes", "", "g n", P.VIEW_NODES),
    Action("global.go-routes", "Go to routing", "", "g o", P.VIEW_ROUTES),
    Action("global.go-users", "Go to users", "", "g u", P.MANAGE_USERS),
    Action("global.go-audit", "Go to the audit log", "", "g l", P.READ_AUDIT),
    Action("global.go-system", "Go to system", "", "g s", P.VIEW_SYSTEM),
    Action("global.theme", "Choose a theme", "", ":theme"),
    Action("global.password", "Change my password", "", ":password", P.OWN_SESSION),
    Action("global.lock", "Lock the screen", "ctrl+l", "^l", P.OWN_SESSION),
    Action("global.logout", "Log out", "", ":logout", P.OWN_SESSION),
    Action("global.start-archive", "Start the archive again", "f5", "F5", needs="unreachable"),
    Action("global.doctor", "Doctor: terminal and pictures", "f12", "F12"),
    Action("global.quit", "Quit", "ctrl+q,q", "q", about="asks what goes on"),
    # --- archive
    Action("archive.open", "Open", "enter,right,l", "⏎", P.BROWSE, "row", 1, "show what is below"),
    Action("archive.close", "Close", "left,h", "h", P.BROWSE, "row", about="fold, or go up"),
    Action("archive.preview", "Picture", "p", "p", P.VIEW_OBJECTS, "row", 2),
    Action("archive.elements", "Data elements", "i", "i", P.VIEW_OBJECTS, "row", 5),
    Action("archive.filter", "Filter", "slash", "/", P.BROWSE, footer=4),
    Action("archive.mark", "Mark", "space", "space", P.BROWSE, "row", 6),
    Action("archive.send", "Send", "s", "s", P.SEND, "row", 3, "marks, or the row"),
    Action("archive.why", "Why sent or not", "w", "w", P.BROWSE, "study"),
    Action("archive.yank", "Yank UID", "y", "y", P.BROWSE, "row", 7, "to the clipboard"),
    Action("archive.sort", "Sort", "S", "S", P.BROWSE, footer=8),
    Action("archive.flat", "Tree or flat", "grave_accent", "`", P.BROWSE, footer=9),
    Action("archive.unmark", "Clear marks", "backslash", "\\", P.BROWSE, "marks"),
    Action("archive.import", "Import files", "I", "I", P.IMPORT, footer=10),
    Action("archive.reload", "Reload", "ctrl+r", "^r", P.BROWSE),
    # --- preview
    Action("preview.next", "Next", "j,down", "j", P.VIEW_OBJECTS, footer=1),
    Action("preview.previous", "Previous", "k,up", "k", P.VIEW_OBJECTS, footer=2),
    Action("preview.ahead", "10 ahead", "J,pagedown", "J", P.VIEW_OBJECTS),
    Action("preview.behind", "10 back", "K,pageup", "K", P.VIEW_OBJECTS),
    Action("preview.first", "First image", "home", "home", P.VIEW_OBJECTS),
    Action("preview.last", "Last image", "G,end", "G", P.VIEW_OBJECTS),
    Action("preview.own-window", "Own window", "0", "0", P.VIEW_OBJECTS, "grey", 4),
    *(
        Action(f"preview.preset-{n}", f"Window preset {n}", str(n), str(n), P.VIEW_OBJECTS, "grey")
        for n in range(1, 10)
    ),
    Action("preview.wider", "Wider window", "right_square_bracket,right", "]", needs="grey"),
    Action("preview.narrower", "Narrower window", "left_square_bracket,left", "[", needs="grey"),
    Action("preview.brighter", "Lower centre (brighter)", "greater_than_sign", ">", needs="grey"),
    Action("preview.darker", "Higher centre (darker)", "less_than_sign", "<", needs="grey"),
    Action("preview.elements", "Data elements", "i", "i", P.VIEW_OBJECTS, "object", 5),
    Action("preview.yank", "Yank UID", "y", "y", P.BROWSE, "object", 6),
    Action("preview.export", "Export document", "x", "x", P.EXPORT, "document", 7),
    # --- elements
    Action("elements.search", "Search", "slash", "/", footer=1),
    Action("elements.next", "Next hit", "n", "n", needs="search", footer=2),
    Action("elements.previous", "Previous hit", "N", "N", needs="search", footer=3),
    Action("elements.fold-line", "Fold or unfold", "enter,right,l", "⏎", footer=4),
    Action("elements.fold", "Fold", "left,h", "h"),
    Action("elements.fold-all", "Fold or unfold all", "z", "z", footer=5),
    Action("elements.yank", "Yank value", "y", "y", needs="row", footer=6),
    # --- incoming
    Action("incoming.contexts", "Contexts", "enter,right,l,left,h", "⏎", P.VIEW_INCOMING, "row", 1),
    Action("incoming.add-node", "Add this node", "a", "a", P.MANAGE_NODES, "unknown-caller", 2),
    Action("incoming.other-pane", "Other list", "tab", "tab", footer=3),
    # --- jobs
    Action("jobs.failed", "Failed", "f", "f", P.VIEW_JOBS, "log", 1, "only these, or all"),
    Action("jobs.log", "Objects", "enter,l", "⏎", P.VIEW_JOBS, "row", 2, "what became of it"),
    Action("jobs.retry", "Retry", "r", "r", P.CONTROL_JOBS, "retry", 3),
    Action("jobs.cancel", "Cancel", "c", "c", P.CONTROL_JOBS, "open", 4),
    Action("jobs.pause", "Pause", "p", "p", P.CONTROL_JOBS, "lane-or-open", 5, "job or lane"),
    Action("jobs.sooner", "Higher priority", "plus", "+", P.CONTROL_JOBS, "open"),
    Action("jobs.later", "Lower priority", "minus", "-", P.CONTROL_JOBS, "open"),
    Action("jobs.other-pane", "Next", "tab", "tab", needs="panes", footer=6),
    Action("jobs.import", "Import files", "I", "I", P.IMPORT, footer=7),
    # --- query/retrieve
    Action("query.compare", "Compare", "enter,l", "⏎", P.QUERY_NODES, "row", 1, "one by one"),
    Action("query.form", "Form", "slash", "/", P.QUERY_NODES, footer=2),
    Action("query.retrieve", "Retrieve", "r", "r", P.RETRIEVE, "row", 3, "what is not here"),
    Action("query.mark", "Mark", "space", "space", P.QUERY_NODES, "row", 4),
    Action("query.send", "Retrieve to …", "s,R", "s", P.RETRIEVE, "row", 5, "to another node"),
    Action("query.yank", "Yank UID", "y", "y", P.QUERY_NODES, "row", 6, "to the clipboard"),
    Action("query.other-pane", "Other list", "tab", "tab", needs="detail", footer=7),
    Action("query.unmark", "Clear marks", "backslash", "\\", P.QUERY_NODES, "marks"),
    Action("query.again", "Ask again", "ctrl+r", "^r", P.QUERY_NODES, "asked"),
    # --- nodes
    Action("nodes.add", "Add", "a", "a", P.MANAGE_NODES, footer=1),
    Action("nodes.edit", "Edit", "e", "e", P.MANAGE_NODES, "row", 2),
    Action("nodes.test", "Test", "t,enter", "t", P.QUERY_NODES, "called", 3, "where it breaks"),
    Action("nodes.remove", "Remove", "d", "d", P.MANAGE_NODES, "row", 4),
    Action("nodes.pause", "Pause", "P", "P", P.CONTROL_JOBS, "called", 5, "its jobs, or go on"),
    Action("nodes.import", "Import", "I", "I", P.MANAGE_NODES, footer=6, about="a list of nodes"),
    Action("nodes.echo", "Echo", "E", "E", P.QUERY_NODES, "echo", 7),
    # --- routing
    Action("routes.add", "Add", "a", "a", P.MANAGE_ROUTES, footer=1),
    Action("routes.edit", "Edit", "e", "e", P.MANAGE_ROUTES, "row", 2),
    Action("routes.switch", "On/off", "space", "space", P.MANAGE_ROUTES, "row", 3),
    Action("routes.earlier", "Earlier", "K", "K", P.MANAGE_ROUTES, "row", 5, "rules go in order"),
    Action("routes.later", "Later", "J", "J", P.MANAGE_ROUTES, "row", 6),
    Action("routes.remove", "Remove", "d", "d", P.MANAGE_ROUTES, "row", 7),
    Action("routes.explain", "Why sent or not", "x", "x", P.BROWSE, "study", 4),
    Action("routes.open", "Open", "enter,l", "⏎", about="rule or study"),
    Action("routes.other-pane", "Other list", "tab", "tab", footer=8),
    # --- users
    Action("users.add", "Add", "a", "a", P.MANAGE_USERS, footer=1),
    Action("users.role", "Role", "r", "r", P.MANAGE_USERS, "user", 2),
    Action("users.password", "Password", "w", "w", P.MANAGE_USERS, "user", 3),
    Action("users.disable", "Disable/enable", "d", "d", P.MANAGE_USERS, "user", 4),
    Action("users.end", "End session", "e", "e", P.MANAGE_USERS, "session", 5),
    Action("users.other-pane", "Next list", "tab", "tab", footer=6),
    # --- audit
    Action("audit.filter", "Filter", "slash", "/", P.READ_AUDIT, footer=1),
    Action("audit.verify", "Verify the chain", "v", "v", P.READ_AUDIT, footer=2),
    Action("audit.details", "Details", "enter,l", "⏎", P.READ_AUDIT, "row", 3),
    Action("audit.reload", "Reload", "ctrl+r", "^r", P.READ_AUDIT, footer=4),
    # --- system
    Action("system.stop", "Stop the archive", "X", "X", P.STOP_ARCHIVE, footer=1),
    Action("system.reload", "Reload", "ctrl+r", "^r", P.VIEW_SYSTEM, footer=2),
    # --- every list
    Action("list.down", "Down", "j,down", "j"),
    Action("list.up", "Up", "k,up", "k"),
    Action("list.half-down", "Half a page down", "ctrl+d", "^d"),
    Action("list.half-up", "Half a page up", "ctrl+u", "^u"),
    Action("list.page-down", "Page down", "pagedown,ctrl+f", "pgdn"),
    Action("list.page-up", "Page up", "pageup,ctrl+b", "pgup"),
    Action("list.top", "First line", "home", "gg"),
    Action("list.bottom", "Last line", "end,G", "G"),
)

BY_ID = {action.id: action for action in ACTIONS}
_BY_METHOD = {(action.scope, action.method): action for action in ACTIONS}


def find(scope: str, method: str) -> Action | None:
    """The action of ``scope`` that the Textual action ``method`` carries out."""
    return _BY_METHOD.get((scope, method))


def in_scope(*scopes: str) -> tuple[Action, ...]:
    """All actions of these scopes, in the order of the registry."""
    return tuple(action for action in ACTIONS if action.scope in scopes)


def bindings(scope: str) -> list[BindingType]:
    """Bindings of one scope.

    They have priority so that keys typed ahead act in the order they were typed; an input that has
    the focus still gets its letters, since Textual leaves out what the focused widget consumes.
    """
    return [
        Binding(
            action.keys,
            action.method,
            action.title,
            key_display=action.shown,
            show=False,
            priority=True,
            id=action.id,
        )
        for action in ACTIONS
        if action.scope == scope and action.keys
    ]


def needs_role(permission: Permission) -> str:
    """Why someone without ``permission`` may not: ``needs role technologist, admin``."""
    roles = roles_with(permission)
    return "needs role " + ", ".join(roles) if roles else "no role may do this"
