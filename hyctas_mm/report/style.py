"""The look of the page: one column, system fonts, light or dark as the reader's system is."""

COLORS = {
    'light': {'bg': '#ffffff', 'fg': '#1f2328', 'soft': '#59636e', 'line': '#d8dee4', 'card': '#f6f8fa', 'link': '#0b5cb8', 'hit': '#0b5cb8'},
    'dark': {'bg': '#14171b', 'fg': '#e3e7ec', 'soft': '#9fa9b4', 'line': '#343a42', 'card': '#1c2026', 'link': '#74b6ff', 'hit': '#74b6ff'},
}


def _variables(scheme: str) -> str:
    return ':root{' + ';'.join(f'--{name}:{value}' for name, value in COLORS[scheme].items()) + '}'


CSS = (
    f':root{{color-scheme:light dark}}\n{_variables("light")}\n@media(prefers-color-scheme:dark){{{_variables("dark")}}}\n'
    + """
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:12px}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
overflow-wrap:break-word;-webkit-text-size-adjust:100%}
main{max-width:1160px;margin:0 auto;padding:32px 24px 56px}
h1{font-size:1.8rem;line-height:1.25;margin:0 0 .4rem;letter-spacing:-.01em}
h2{font-size:1.25rem;margin:3rem 0 .8rem;padding-bottom:.35rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:0 0 .4rem}
p{margin:.5rem 0;max-width:78ch}a{color:var(--link)}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.warning{border-left:4px solid #c77700;padding:.3rem 0 .3rem .8rem}
.soft,figcaption,.lead,.hint{color:var(--soft)}figcaption,.hint{font-size:.875rem;max-width:92ch;margin:.4rem 0 0}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.86em}
figure{margin:.6rem 0 1.2rem}
button{font:inherit;font-size:.8rem;color:var(--link);background:var(--bg);border:1px solid var(--line);border-radius:6px;
padding:3px 10px;cursor:pointer}
button:hover{border-color:var(--link)}
.facts{display:flex;flex-wrap:wrap;gap:12px 26px;margin:1.3rem 0 0}
.facts dt{font-size:.8rem;color:var(--soft)}.facts dd{margin:0;font-weight:600}
.scroll{overflow-x:auto;max-width:100%}
.fig text{font-family:inherit!important}.fig{color:var(--soft);display:block;width:100%;height:auto}
.panels{display:grid;gap:12px 18px;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr))}.panels .fig{max-width:640px}
.key{display:flex;flex-wrap:wrap;gap:2px 20px;list-style:none;margin:0 0 .3rem;padding:0;font-size:.875rem;color:var(--soft)}
.key li{display:flex;align-items:center;gap:6px}.key svg{height:11px;fill:currentColor}
.ha{display:block;height:auto}.usage{display:block;height:auto}
.usage text{font-size:11px;fill:var(--soft)}.usage .tick,.usage .in{font-size:10px;text-anchor:middle}.usage .axis{stroke:var(--line)}
.usage .in{fill:#1c1f24}.usage .strong{font-weight:600}.usage .part{stroke:var(--bg);stroke-width:1}
.front{position:relative}.front svg.fig{cursor:crosshair;touch-action:pan-x pan-y}.later{display:none}
.ring{fill:none;stroke:var(--hit);stroke-width:2;pointer-events:none}.ring.kept{stroke-width:2.6;stroke-dasharray:4 2.5}
.past{fill:none;stroke-width:1.8}
.wind{display:flex;flex-wrap:wrap;align-items:center;gap:8px;font-size:.875rem;color:var(--soft);margin:.3rem 0 0}
.wind input{width:min(260px,50vw);accent-color:var(--link)}.wind output{font-weight:600;color:var(--fg);min-width:2ch}
.tip{position:absolute;z-index:2;width:300px;max-width:100%;padding:10px 12px;background:var(--card);border:1px solid var(--line);border-radius:8px;
box-shadow:0 4px 18px rgb(0 0 0/.22);pointer-events:none;font-size:.82rem}
.tip ul,.pin ul{display:flex;flex-wrap:wrap;gap:0 14px;list-style:none;margin:.15rem 0 .45rem;padding:0;color:var(--soft)}
.tip code{font-weight:600}
.pin,.card{position:relative;border:1px solid var(--line);border-radius:10px;padding:14px 16px;margin:0 0 16px}
.pin{background:var(--card);border-color:var(--hit)}.pin button{position:absolute;top:10px;right:12px}.pin ul{font-size:.875rem}
.card .below{display:flex;flex-wrap:wrap;gap:0 28px;align-items:baseline;font-size:.875rem}
.card .below details{margin:.5rem 0;min-width:0;max-width:100%}.card .below details[open]{flex-basis:100%}
.card:target,.card.hit{border-color:var(--hit);box-shadow:0 0 0 1px var(--hit)}.others{margin-top:1rem}.others .card:first-of-type{margin-top:14px}
.sketch{display:block;width:100%;height:auto}.sketch text{font-size:11px;fill:var(--soft)}.sketch .in{fill:#1c1f24;text-anchor:middle}
.sketch .lane{fill:#808a96;fill-opacity:.12}.sketch .wire{fill:none;stroke:#828b96;stroke-width:1.4}.sketch .stem{fill:#828b96}
.sketch .bar{fill:#000;fill-opacity:.55}.sketch .head{fill:#aab2bc}
table{border-collapse:separate;border-spacing:0;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}
thead th{font-weight:600;color:var(--soft);font-size:.8rem;line-height:1.3;vertical-align:bottom;white-space:normal;max-width:110px}
tbody th{font-weight:400}th:first-child{text-align:left;padding-left:0;position:sticky;left:0;background:var(--bg)}
h3 .soft{font-weight:400;font-size:.9rem;margin-left:.5em}.card .name,.pin .name{display:none}
tr.random td,tr.random th{color:var(--soft)}tr[data-id]:hover>*,tr.hit>*{background:var(--card)}
tr.hit>th{box-shadow:inset 3px 0 var(--hit);padding-left:10px}
details{margin:.8rem 0}summary{cursor:pointer;color:var(--link)}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px;overflow-x:auto;margin:.5rem 0;line-height:1.5}
.commands{width:100%}.commands thead th,.commands td{text-align:left;max-width:none;vertical-align:middle}.commands th[rowspan]{vertical-align:top}
.commands tr:not(:has(th)) td,.commands th+td,.commands th+td+td{padding-top:4px;padding-bottom:4px}.commands td:last-child{width:100%}
.commands pre{display:inline-block;vertical-align:middle;margin:0 0 0 8px;padding:4px 10px;border-radius:6px}
pre.copy{user-select:all}
.classes{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;padding:0;margin:.6rem 0;font-size:.85rem}
.classes i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;border:1px solid var(--line);vertical-align:-1px}
.larger{display:block;font-size:.85rem;color:var(--soft);margin:.4rem 0}
.pictures{display:grid;gap:8px;grid-template-columns:repeat(auto-fill,minmax(min(max(136px,100%/var(--columns) - 8px),420px),1fr));margin:0 0 14px}
.gallery:has(.larger input:checked) .pictures{grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr))}
.pictures figure{margin:0;min-width:0}.pictures img{display:block;width:100%;height:auto;border-radius:4px}
.pictures figcaption{font-size:.75rem;margin:.15rem 0 0}.pictures .none{color:var(--soft)}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
@media(max-width:640px){main{padding:20px 12px 40px}h1{font-size:1.4rem}.facts{gap:10px 24px}th,td{padding:6px 8px}.pin,.card{padding:10px 10px}
.fig text{font-size:13.5px!important}.fig [id*=chosen-label] text{font-size:11.5px!important}
.panels .fig text{font-size:9px!important}.pictures{grid-template-columns:1fr 1fr}.larger{display:none}
.tip{width:250px}}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{.scroll{overflow:visible}.wind,.hint,.larger,button{display:none}}
"""
).strip()
