"""The command line of the site: `python -m tools.site COMMAND`.

build         build the site in docs/_build/html
serve [PORT]  show it on this machine
film          film a widget of it, for the README
"""

from __future__ import annotations

import sys

from tools.site import build, film, serve


def main(arguments: list[str]) -> int:
    """Run one command and return the exit status."""
    try:
        match [word for word in arguments if word]:  # make passes "" for what is not set
            case ["build"]:
                build.build()
            case ["serve"]:
                show(None)
            case ["serve", port] if port.isdecimal():
                show(int(port))
            case ["film"]:
                print(film.write(build.SITE))
            case _:
                print(__doc__)
                return 2
    except (ValueError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


def show(port: int | None) -> None:
    """Serve the site until Ctrl-C."""
    with serve.server(build.SITE, port) as server:
        print(f"The site is at http://{serve.HOST}:{server.server_port}/ (Ctrl-C stops it).")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
