// Signs what a new host asks for, by openssl. Of the request only the key counts, which it proves to have; who the certificate is
// for, and what for, is said here.

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { busTlsName, DroverError, hostCertificateDays } from '@drover/protocol'

const opensslDeadlineMs = 20_000
const serialBytes = 16

export interface HostToSign {
  /** Directory of the authority's certificate and key. */
  authority: string
  cluster: string
  host: string
  /** An IP address. */
  address: string
  /** PKCS #10, PEM. */
  certificateRequest: string
}

/** The certificate, PEM. BAD_REQUEST when the request is none, or not signed by its own key. */
export async function signHost(wanted: HostToSign): Promise<string> {
  const { authority, cluster, host, address, certificateRequest } = wanted
  const key = join(authority, 'authority-key.pem')
  if (!existsSync(key))
    throw new DroverError(
      'WRONG_STATE',
      `certify host ${host}: the authority's key is not at ${key} on this controller`,
    )
  const directory = mkdtempSync(join(tmpdir(), 'drover-join-'))
  try {
    const extensions = join(directory, 'extensions')
    const lines = [
      `subjectAltName=IP:${address},DNS:${busTlsName}`,
      'basicConstraints=critical,CA:FALSE',
      'extendedKeyUsage=serverAuth,clientAuth',
    ]
    writeFileSync(extensions, `${lines.join('\n')}\n`)
    const serial = `0x${randomBytes(serialBytes).toString('hex')}`
    return await openssl(host, certificateRequest, [
      ...['x509', '-req', '-in', '-', '-sha256', '-days', String(hostCertificateDays)],
      ...['-CA', join(authority, 'authority.pem'), '-CAkey', key, '-set_serial', serial],
      ...['-subj', `/O=drover ${cluster}/CN=${host}`, '-extfile', extensions],
    ])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function openssl(host: string, input: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('openssl', args, { timeout: opensslDeadlineMs }, (cause, stdout, stderr) => {
      if (!cause) return resolve(stdout)
      const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
      const why = missing ? 'there is no openssl' : (stderr.trim().split('\n')[0] ?? cause.message)
      reject(
        new DroverError(missing ? 'INTERNAL' : 'BAD_REQUEST', `certify host ${host}: openssl says ${why}`, { cause }),
      )
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}
