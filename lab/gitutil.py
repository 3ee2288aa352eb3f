# SPDX-License-Identifier: GPL-2.0
# What lab/base and lab/series share: where things are, and git without the
# user's configuration.

import fcntl
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IDENT_NAME = 'Process page size project'
IDENT_MAIL = 'devel@process-page-size.invalid'
NAME = os.path.basename(sys.argv[0])


def _place(variable, default):
    value = os.environ.get(variable)
    return os.path.abspath(value or default)


CACHE = _place('PROCESS_PAGE_SIZE_CACHE', os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'),
    'process-page-size'))
BUILD = _place('PROCESS_PAGE_SIZE_BUILD', os.path.join(ROOT, 'build'))
LINUX_GIT = os.path.join(BUILD, 'linux.git')
TREE = os.path.join(BUILD, 'tree')
BASE_TREE = os.path.join(BUILD, 'base')
BASE_CONF = os.path.join(ROOT, 'lab', 'base.conf')


class Failure(Exception):
    """An error for the user: one line, what is wrong; what to do."""


def need_plain_path():
    """Refuse at once what kbuild would refuse after the download."""
    if re.search(r'[\s:]', BUILD):
        raise Failure('%s: kernels cannot be built in a path with spaces or '
                      'colons; move the clone or set PROCESS_PAGE_SIZE_BUILD'
                      % BUILD)


def say(text):
    print('%s: %s' % (NAME, text), file=sys.stderr, flush=True)


def main(function):
    try:
        sys.exit(function())
    except Failure as error:
        say(error)
        sys.exit(1)
    except KeyboardInterrupt:
        say('interrupted; run it again to go on')
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        say('%s; mend that (disk full? permissions?) and run it again' % error)
        sys.exit(1)


def clean_env(extra=None):
    """The environment without anything that changes what git writes."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(('GIT_', 'LC_', 'LANG'))}
    for keep in ('GIT_SSL_CAINFO', 'GIT_PROXY_COMMAND'):
        if keep in os.environ:
            env[keep] = os.environ[keep]
    env.update({
        'GIT_CONFIG_GLOBAL': os.devnull,
        'GIT_CONFIG_NOSYSTEM': '1',
        'GIT_ATTR_NOSYSTEM': '1',
        'GIT_TERMINAL_PROMPT': '0',
        'GIT_PAGER': 'cat',
        'GIT_EDITOR': 'true',
        'GIT_AUTHOR_NAME': IDENT_NAME,
        'GIT_AUTHOR_EMAIL': IDENT_MAIL,
        'GIT_COMMITTER_NAME': IDENT_NAME,
        'GIT_COMMITTER_EMAIL': IDENT_MAIL,
        'LC_ALL': 'C.UTF-8',
        'TZ': 'UTC',
    })
    if extra:
        env.update(extra)
    return env


# For repositories whose own configuration the user may have changed.
OPTIONS = []
for _option in ('safe.directory=*', 'core.hooksPath=' + os.devnull,
                'core.fsmonitor=false', 'core.autocrlf=false',
                'core.safecrlf=false', 'core.quotePath=true',
                'core.attributesFile=' + os.devnull,
                'core.excludesFile=' + os.devnull,
                'core.untrackedCache=false', 'core.logAllRefUpdates=true',
                'gc.auto=0', 'maintenance.auto=false', 'commit.gpgSign=false',
                'submodule.recurse=false', 'protocol.file.allow=always',
                'index.threads=0', 'checkout.workers=0'):
    OPTIONS += ['-c', _option]


def git(*args, directory=None, data=None, env=None, ok=(0,), stderr=False):
    """Run git and return what it printed (bytes)."""
    command = ['git'] + OPTIONS
    if directory:
        command += ['-C', directory]
    command += list(args)
    try:
        done = subprocess.run(command, input=data, env=clean_env(env),
                              stdin=None if data is not None
                              else subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=None if stderr else subprocess.PIPE)
    except FileNotFoundError:
        raise Failure('git is not installed; run "make deps"') from None
    if ok is not None and done.returncode not in ok:
        text = (done.stderr or b'').decode('utf-8', 'replace').strip()
        raise Failure('git %s failed in %s: %s' % (
            ' '.join(a for a in args[:4]), directory or os.getcwd(),
            text.replace('\n', ' | ') or 'status %d' % done.returncode))
    return done.stdout


def git_ok(*args, directory=None, env=None):
    """True when the git command ends with status 0."""
    command = ['git'] + OPTIONS
    if directory:
        command += ['-C', directory]
    return subprocess.run(command + list(args), env=clean_env(env),
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def text(value):
    return value.decode('utf-8', 'surrogateescape').strip()


def rev_parse(name, directory):
    """The id of a revision, or None."""
    out = git('rev-parse', '--quiet', '--verify', name, directory=directory,
              ok=(0, 1, 128))
    return text(out) or None


def is_repository(directory):
    """Whether the directory itself is a git repository or worktree."""
    if os.path.lexists(os.path.join(directory, '.git')):
        return True
    return all(os.path.exists(os.path.join(directory, name))
               for name in ('HEAD', 'objects', 'refs'))


def git_path(directory, which):
    """--git-dir or --git-common-dir as an absolute path."""
    out = text(git('rev-parse', which, directory=directory))
    return os.path.normpath(os.path.join(directory, out))


def write_file(path, data, mode=None):
    """Write to a temporary name, then rename."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = path + '.new%d' % os.getpid()
    with open(new, 'wb') as out:
        out.write(data)
    if mode is not None:
        os.chmod(new, mode)
    os.replace(new, path)


class Lock:
    """One writer at a time; the second one waits."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.file = open(self.path, 'w')
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('waiting for another run (%s)' % self.path)
            fcntl.flock(self.file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *exc):
        self.file.close()
        return False
