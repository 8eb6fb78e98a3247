"""What a person reads: the API's pages without the internet, and a page for every kind of refusal."""

import json
from html import escape
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mediation.domain.errors import NotFound
from mediation.http.problems import COUNTER, HELP, family, status_of, titles

routes = APIRouter(include_in_schema=False)

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_STYLE = (
    "body{font:16px/1.6 system-ui,'Noto Sans CJK SC','Microsoft YaHei',sans-serif;max-width:46rem;margin:3rem auto;"
    "padding:0 1rem;color:#1c1c1c}code{background:#f2f2f2;padding:.1em .3em}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;border-bottom:1px solid #ddd;padding:.35rem .6rem;vertical-align:top}a{color:#0a4f9e}"
)
_START = """\
window.onload = () => SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#api", deepLinking: true, persistAuthorization: true, displayRequestDuration: true,
  docExpansion: "list", defaultModelsExpandDepth: 0, validatorUrl: null,
});
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)


def _page(title: str, content: str, head: str = "") -> HTMLResponse:
    html = (
        f'<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">{head}</head>'
        f"<body>{content}</body></html>"
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})


@routes.get("/")
@routes.get("/docs/")
async def show_door() -> RedirectResponse:
    """Where a person begins, who came by the bare address or with a stroke too many."""
    return RedirectResponse("/docs", headers={"Cache-Control": "no-cache"})


@routes.get("/docs")
async def show_manual() -> HTMLResponse:
    """The API, to read and to try, with everything it needs from here."""
    head = '<link rel="stylesheet" href="/docs/swagger-ui.css">'
    scripts = '<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>'
    return _page("mediation 纠纷调解接口", f'<div id="api"></div>{scripts}', head)


@routes.get("/docs/{name}")
async def show_asset(name: str) -> Response:
    """A file of the manual."""
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers={"Cache-Control": "no-cache"})
    if name not in _ASSETS:
        raise NotFound
    data = (files("fastapi_offline") / "static" / name).read_bytes()
    return Response(data, media_type=_ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})


@routes.get("/openapi.json")
async def show_openapi(request: Request) -> Response:
    """The contract, for programs."""
    data = json.dumps(request.app.openapi(), ensure_ascii=False).encode()
    return Response(data, media_type="application/json", headers={"Cache-Control": "no-cache"})


def _explained() -> dict[str, dict[str, Any]]:
    """Every refusal: its status, titles, and what to do about it."""
    pages: dict[str, dict[str, Any]] = {
        code: {"status": kind.status, "zh": kind.help_zh, "en": kind.help_en} for code, kind in COUNTER.items()
    }
    for kind in family():
        if kind.code in HELP:
            zh, en = HELP[kind.code]
            pages[kind.code] = {"status": status_of(kind()), "zh": zh, "en": en}
    return pages


@routes.get("/problems")
async def list_problems() -> HTMLResponse:
    """Every kind of refusal."""
    rows = "".join(
        f'<tr><td>{page["status"]}</td><td><a href="/problems/{code}"><code>{code}</code></a></td>'
        f"<td>{escape(titles(code)[0])}<br>{escape(titles(code)[1])}</td></tr>"
        for code, page in sorted(_explained().items(), key=lambda found: (found[1]["status"], found[0]))
    )
    return _page("拒绝的种类 Problems", f"<style>{_STYLE}</style><h1>拒绝的种类 Problems</h1><table>{rows}</table>")


@routes.get("/problems/{code}")
async def show_problem(code: str) -> HTMLResponse:
    """What one kind of refusal means and what to do; the `type` of a problem leads here."""
    page = _explained().get(code)
    if page is None:
        raise NotFound
    zh, en = titles(code)
    body = (
        f"<style>{_STYLE}</style><h1>{escape(zh)}</h1><h2>{escape(en)}</h2>"
        f"<p><code>{code}</code> · HTTP {page['status']}</p><p>{escape(page['zh'])}</p><p>{escape(page['en'])}</p>"
        '<p><a href="/problems">全部 all</a> · <a href="/docs">API</a></p>'
    )
    return _page(f"{zh} {en}", body)
