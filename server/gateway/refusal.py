"""A request that the gateway does not forward, or cannot answer."""


class RefusedError(Exception):
    """Ends the handling of a request with an answer of its own.

    The statuses are chosen for what a SuperNode of Flower 1.42 makes of them: it tries again after 502, 503 and 504
    only. Any other error, 429, 408 and 500 among them, silently ends its worker or its heartbeat while its process
    lives on, so whatever may pass by itself is a 503. 413 costs it the one reply that was too large. At a 401 it shuts
    down, and its daemon starts it anew: right for a key that is not approved, and for nothing else. Never a 403, which
    it takes for the end of the run.

    Parameters
    ----------
    status : int
        401, 404, 405, 412, 413 or 503.
    reason : str
        For the gateway's log; the caller is not told.
    body : bytes
        What the caller is told.
    """

    def __init__(self, status: int, reason: str, body: bytes = b"refused\n") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.body = body
