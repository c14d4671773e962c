"""The look of the page: one column, system fonts, light or dark as the reader's system is."""

CSS = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--soft:#59636e;--line:#d8dee4;--card:#f6f8fa;--link:#0b62c4}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e3e7ec;--soft:#9aa4af;--line:#32383f;--card:#1c2026;--link:#6cb2ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
overflow-wrap:break-word;-webkit-text-size-adjust:100%}
main{max-width:1120px;margin:0 auto;padding:28px 20px 56px}
h1{font-size:1.75rem;line-height:1.25;margin:0 0 .3rem}
h2{font-size:1.25rem;margin:2.6rem 0 .6rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.5rem 0 .4rem}
p{margin:.5rem 0;max-width:78ch}a{color:var(--link)}
.soft,figcaption,.lead{color:var(--soft)}figcaption{font-size:.875rem;max-width:88ch;margin-top:.3rem}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.85em}
figure{margin:.6rem 0}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(165px,1fr));gap:10px;margin:1.2rem 0 0}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:8px 12px;min-width:0}
.facts dt{font-size:.8rem;color:var(--soft)}.facts dd{margin:0;font-weight:600}
.scroll{overflow-x:auto;max-width:100%}
.framed{border:1px solid var(--line);border-radius:8px;padding:8px}
.fig text{font-family:inherit!important}.fig{color:var(--soft);display:block;width:100%;max-width:900px;min-width:540px;height:auto}
.ha{display:block;height:auto}.usage{display:block}
.usage text{font-size:11px;fill:var(--soft)}.usage .tick{font-size:9px;text-anchor:middle}.usage .axis{stroke:var(--line)}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:6px 12px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}
th{font-weight:600;color:var(--soft);font-size:.8rem;line-height:1.3;vertical-align:bottom;white-space:normal;max-width:110px}
h3 .soft{font-weight:400;margin-left:.5em}
td:first-child,th:first-child{text-align:left}tr.random td{color:var(--soft)}
details{margin:.8rem 0}summary{cursor:pointer;color:var(--link)}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px;overflow-x:auto;margin:.5rem 0;line-height:1.5}
pre.copy{user-select:all}
.grid td{padding:4px;border:0}.grid th{text-align:left;padding:4px}.grid img{display:block;border-radius:4px;height:auto;
width:clamp(140px,calc(1080px/var(--columns) - 8px),260px)}
.classes{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;padding:0;margin:.6rem 0;font-size:.85rem}
.classes i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;border:1px solid var(--line);vertical-align:-1px}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
@media(max-width:600px){main{padding:18px 12px 40px}h1{font-size:1.4rem}.facts{grid-template-columns:1fr 1fr}
th,td{padding:6px 8px}}
@media print{.scroll{overflow:visible}}
""".strip()
