"""A real browser for the tests of the page: Chromium without a window, spoken to over a pipe (the DevTools protocol),
without any package.
"""

from __future__ import annotations

import base64
import fcntl
import io
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image

_NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
_FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--disable-sync',
    '--disable-background-networking',
    '--disable-component-update',
    '--hide-scrollbars',
    '--remote-debugging-pipe',
)
_PATIENCE = 60.0
"""Seconds after which a browser that says nothing has failed."""


def find_browser() -> str | None:
    """Path of an installed Chromium, None if there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab.

    Args:
        program: Path of Chromium.
        profile: Folder of its own for all that it writes.

    Example:
        >>> with Browser(find_browser(), tmp_path) as browser:
        ...     browser.open(page, width=1400)
        ...     browser.evaluate('document.title')
    """

    def __init__(self, program: str, profile: Path) -> None:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4; moved up first, so that neither overwrites the
        # other
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        script = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}'
        command = ['bash', '-c', script, 'bash', program, *_FLAGS, f'--user-data-dir={profile}', 'about:blank']
        self._process = subprocess.Popen(command, pass_fds=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (theirs_in, theirs_out, *theirs):
            os.close(fd)
        self._in, self._out, self._rest = ours_in, ours_out, b''
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = next(t for t in self.call('Target.getTargets')['targetInfos'] if t['type'] == 'page')
        self._session = self.call('Target.attachToTarget', targetId=target['targetId'], flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self.call(f'{domain}.enable')

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._out)  # Chromium ends when its pipe does
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends one command and returns its result; what happens meanwhile is kept in ``events``."""
        number = next(self._numbers)
        message = {'id': number, 'method': method, 'params': params} | (
            {'sessionId': self._session} if self._session else {}
        )
        os.write(self._out, json.dumps(message).encode() + b'\0')
        while (answer := self._receive(method)).get('id') != number:
            self.events.append(answer)
        if 'error' in answer:
            raise RuntimeError(f'{method}: {answer["error"]["message"]}')
        result: dict[str, Any] = answer['result']
        return result

    def open(self, page: Path, width: int = 1400, height: int = 1000, dark: bool = False, script: bool = True) -> None:
        """Opens a file and waits until it is loaded."""
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call(
            'Emulation.setEmulatedMedia',
            features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}],
        )
        self.call('Emulation.setScriptExecutionDisabled', value=not script)
        self.call('Page.navigate', url='about:blank')  # else another fragment of the same file would not load it again
        self.events.clear()
        self.call('Page.navigate', url=page.as_uri())
        end = time.monotonic() + _PATIENCE
        while not self.evaluate('location.protocol === "file:" && document.readyState === "complete"'):
            if time.monotonic() > end:
                raise RuntimeError(f'{page} was not loaded within {_PATIENCE:.0f} s')
            time.sleep(0.02)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in answer:
            raise RuntimeError(f'{expression}: {answer["exceptionDetails"]["exception"].get("description")}')
        return answer['result'].get('value')

    def move(self, x: float, y: float) -> None:
        """Moves the pointer there, in pixels of the window."""
        self.call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def click(self, x: float, y: float) -> None:
        """Presses and lets go."""
        self.move(x, y)
        for kind in ('mousePressed', 'mouseReleased'):
            self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def press(self, *keys: str) -> None:
        """Presses keys by name, e.g. ``'ArrowRight'``, one after another."""
        codes = {'Enter': 13, 'Escape': 27, 'ArrowRight': 39, 'ArrowLeft': 37, 'Home': 36, 'End': 35, 'Tab': 9}
        for key in keys:
            # Enter presses a focused button only with the text that the key writes
            self.call(
                'Input.dispatchKeyEvent',
                type='keyDown',
                key=key,
                windowsVirtualKeyCode=codes[key],
                text='\r' if key == 'Enter' else '',
            )
            self.call('Input.dispatchKeyEvent', type='keyUp', key=key, windowsVirtualKeyCode=codes[key])

    def screenshot(self, whole: bool = False) -> Image.Image:
        """The window, or the whole page."""
        options: dict[str, Any] = {}
        if whole:
            size = self.call('Page.getLayoutMetrics')['cssContentSize']
            options = {'captureBeyondViewport': True, 'clip': {**size, 'scale': 1}}
        data = self.call('Page.captureScreenshot', format='png', **options)['data']
        return Image.open(io.BytesIO(base64.b64decode(data))).convert('RGB')

    def requests(self) -> list[str]:
        """Addresses asked for since the last :meth:`open`."""
        self.evaluate('0')  # collects what is waiting
        return [e['params']['request']['url'] for e in self.events if e.get('method') == 'Network.requestWillBeSent']

    def complaints(self) -> list[str]:
        """Errors and warnings since the last :meth:`open`."""
        self.evaluate('0')
        found = [
            json.dumps(e['params'])
            for e in self.events
            if e.get('method') in ('Runtime.exceptionThrown', 'Log.entryAdded')
        ]
        return [
            *found,
            *(json.dumps(e['params']) for e in self.events if e.get('method') == 'Runtime.consoleAPICalled'),
        ]

    def _receive(self, waiting_for: str) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while b'\0' not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self._in, 1 << 20) if ready else b''
            if not chunk:
                raise RuntimeError(
                    f'the browser did not answer {waiting_for} within {_PATIENCE:.0f} s (exit status '
                    f'{self._process.poll()})'
                )
            self._rest += chunk
        message, self._rest = self._rest.split(b'\0', 1)
        answer: dict[str, Any] = json.loads(message)
        return answer
