"""The one warm connection per host that commands share. A command imports `client`; the rest runs beside it."""
