// A #cloud-config without cloud-init: what is carried out, and what is refused, each by field and rule.

import t from 'tap'
import { firstBootPlan, firstBootPlanProblem, firstBootSyntaxProblem } from '../src/index.ts'

t.test('all that is carried out, as cloud-init would read it', async (t) => {
  const plan = firstBootPlan({
    sshKeys: ['ssh-ed25519 AAAA me'],
    vendorData: '#cloud-config\ntimezone: Europe/Paris\npackages: [vim]\n',
    userData: `#cloud-config
hostname: web
groups: [ops, {staff: [ann, bob]}]
users:
  - default
  - {name: ann, gecos: Ann A., groups: 'sudo, ops', shell: /bin/bash, sudo: 'ALL=(ALL) NOPASSWD:ALL', lock_passwd: false,
     passwd: $6$salt$hash, ssh_authorized_keys: [ssh-rsa AAAA ann]}
ssh_authorized_keys: [ssh-rsa AAAA other]
write_files:
  - {path: /etc/motd, content: "hällo\\n", permissions: 0640, owner: 'ann:ops'}
  - {path: /opt/x, encoding: b64, content: aGk=, append: true, permissions: '0755'}
package_update: yes
packages: [cron, [nginx, 1.22-3]]
runcmd:
  - echo one && cd /opt
  - [touch, /root/it is, 7]
final_message: ready
`,
  })
  t.match(plan, {
    hostname: 'web',
    groups: [
      { name: 'ops', members: [] },
      { name: 'staff', members: ['ann', 'bob'] },
    ],
    rootKeys: ['ssh-ed25519 AAAA me', 'ssh-rsa AAAA other'],
    timezone: 'Europe/Paris',
    packages: [['cron'], ['nginx', '1.22-3']],
    updatePackages: true,
    commands: ['echo one && cd /opt', ['touch', '/root/it is', '7']],
    finalMessage: 'ready',
  })
  t.equal(plan.users.length, 1, 'the image’s usual user is nobody here')
  t.match(plan.users[0], {
    name: 'ann',
    groups: ['sudo', 'ops'],
    home: /^.home.ann$/,
    passwordHash: '$6$salt$hash',
    locked: false,
  })
  t.match(plan.files, [
    { path: '/etc/motd', user: 'ann', group: 'ops', mode: 0o640, append: false },
    { path: '/opt/x', contentBase64: 'aGk=', mode: 0o755, append: true, user: 'root', group: 'root' },
  ])
  t.equal(Buffer.from(plan.files[0]?.contentBase64 ?? '', 'base64').toString(), 'hällo\n')
  t.same(
    firstBootPlan({ userData: '#!/bin/sh\ntrue\n', vendorData: '#!/bin/sh\nfalse\n' }).scripts.map(({ name }) => name),
    ['vendor-data', 'user-data'],
  )
  t.same(firstBootPlan({ userData: '#cloud-config\n' }).commands, [])
})

t.test('refused by field, rule and value', async (t) => {
  const table: [string, RegExp][] = [
    ['users: [', /^user-data: .*line 3/],
    ['- a list', /^user-data: must be a mapping of keys/],
    ['ntp: {}', /^ntp: is not carried out without cloud-init; known are hostname, /],
    ['bootcmd: [ls]', /^bootcmd: .*use runcmd/],
    ['users: ann', /^users: must be a list of at most 64, it is "ann"/],
    ['users: [{name: "a b"}]', /^users\[0\]\.name: must be a name of .*it is "a b"/],
    ['users: [{name: a, plain_text_passwd: x}]', /^users\[0\]\.plain_text_passwd: .*a hash/],
    ['users: [{name: a, passwd: "my:swordfish"}]', /^users\[0\]\.passwd: must be a hash/],
    ['users: [{name: a, sudo: "x\\ny ALL"}]', /^users\[0\]\.sudo: must be a rule of sudoers in one line/],
    ['write_files: [{content: x}]', /^write_files\[0\]\.path: must be an absolute path without \.\., it is missing/],
    ['write_files: [{path: /a/../b}]', /^write_files\[0\]\.path: /],
    ['write_files: [{path: /a, permissions: rwx}]', /^write_files\[0\]\.permissions: must be octal/],
    ['write_files: [{path: /a, encoding: gzip}]', /^write_files\[0\]\.encoding: must be b64/],
    ['write_files: [{path: /a, encoding: b64, content: "%"}]', /^write_files\[0\]\.content: must be base64/],
    ['packages: [--reinstall]', /^packages\[0\]: must be a package/],
    ['packages: ["a; reboot"]', /^packages\[0\]: must be a package/],
    ['runcmd: ls', /^runcmd: must be a list/],
    ['runcmd: [{a: b}]', /^runcmd\[0\]: must be a line for the shell/],
    ['package_update: 3', /^package_update: must be true or false, it is 3/],
    ['timezone: ../../etc/passwd', /^timezone: must be a name like/],
    ['hostname: db', /^hostname: must be the container’s name web, it is db/],
    [`a: &a [x, x]\nb: &b [${'*a, '.repeat(60)}]\nruncmd: [${'*b, '.repeat(60)}]`, /^user-data: .*alias/],
  ]
  for (const [text, said] of table) {
    const problem = firstBootPlanProblem({ userData: `#cloud-config\n${text}\n` }, 'web')
    t.match(problem, said, text.slice(0, 60))
    t.notMatch(problem, /swordfish/, 'no hash is shown')
  }
  t.match(
    firstBootPlanProblem({ userData: '#include\nhttp://x\n' }),
    /without cloud-init it must begin with #cloud-config or #!/,
  )
})

t.test('what only cloud-init knows is its own affair, but it can’t read what is no YAML either', async (t) => {
  t.equal(firstBootSyntaxProblem({ userData: '#cloud-config\nntp: {enabled: true}\n' }), null)
  t.equal(firstBootSyntaxProblem({ userData: '#include\nhttp://x\n' }), null)
  t.match(firstBootSyntaxProblem({ userData: '#cloud-config\na: [\n' }), /^user-data: /)
  t.match(firstBootSyntaxProblem({ vendorData: 'a: b\n' }), /vendor data: the first line/)
})
