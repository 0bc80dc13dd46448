// The certificates of a cluster's parts: one authority per cluster, one certificate per host for the addresses that it is reached
// at. Made with openssl, which Debian's ca-certificates brings along. Keys are readable by their owner alone.

import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { TlsFiles } from '@drover/protocol'
import { busTlsName, DroverError, hostCertificateDays } from '@drover/protocol/plain'
import { renameDurably, toDisk } from './durable-rename.ts'

const authorityDays = 3650
/** A certificate with less than this left is made anew at the next start. */
const renewBeforeMs = 180 * 24 * 3600_000
const opensslDeadlineMs = 20_000

/** What to write the host's files into, for whom, signed by the authority in `authority` (made there when missing). */
export interface CertificateRequest {
  authority: string
  directory: string
  cluster: string
  host: string
  addresses: readonly string[]
}

/** The host's files: those that are there if they still serve, else new ones. */
export function ensureCertificate(request: CertificateRequest): TlsFiles {
  ensureAuthority(request.authority, request.cluster)
  const { directory } = request
  const files = filesIn(directory)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  if (serves(files, request)) return files
  copyFileSync(join(request.authority, 'authority.pem'), files.authority)
  toDisk(files.authority)
  makeCertificate(files, hostCertificateDays, request.directory, [
    ['-subj', `/O=drover ${request.cluster}/CN=${request.host}`],
    ['-CA', join(request.authority, 'authority.pem'), '-CAkey', join(request.authority, 'authority-key.pem')],
    ['-addext', `subjectAltName=${[...request.addresses, busTlsName].map(alternativeName).join(',')}`],
    ['-addext', 'basicConstraints=critical,CA:FALSE'],
    ['-addext', 'extendedKeyUsage=serverAuth,clientAuth'],
  ])
  return files
}

function ensureAuthority(directory: string, cluster: string): void {
  const certificate = join(directory, 'authority.pem')
  if (existsSync(certificate)) return
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  makeCertificate({ certificate, key: join(directory, 'authority-key.pem') }, authorityDays, directory, [
    ['-subj', `/O=drover ${cluster}/CN=authority`],
    ['-addext', 'basicConstraints=critical,CA:TRUE,pathlen:0'],
    ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  ])
}

export const filesIn = (directory: string): TlsFiles => ({
  authority: join(directory, 'authority.pem'),
  certificate: join(directory, 'host.pem'),
  key: join(directory, 'host-key.pem'),
})

const alternativeName = (address: string) => (isIP(address) === 0 ? `DNS:${address}` : `IP:${address}`)

function serves(files: TlsFiles, { authority, addresses }: CertificateRequest): boolean {
  if (![files.authority, files.certificate, files.key].every((path) => existsSync(path))) return false
  const issuer = new X509Certificate(readFileSync(join(authority, 'authority.pem')))
  const certificate = new X509Certificate(readFileSync(files.certificate))
  if (!certificate.verify(issuer.publicKey)) return false
  if (Date.parse(certificate.validTo) - Date.now() < renewBeforeMs) return false
  return [...addresses, busTlsName].every((address) =>
    isIP(address) === 0 ? certificate.checkHost(address) : certificate.checkIP(address),
  )
}

/** Key and certificate appear whole: the certificate, which is looked for, last. */
function makeCertificate(
  files: { certificate: string; key: string },
  days: number,
  directory: string,
  options: string[][],
): void {
  const key = join(directory, 'new-key.pem')
  const certificate = join(directory, 'new.pem')
  const command = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', `${days}`]
  try {
    execFileSync('openssl', [...command, '-keyout', key, '-out', certificate, ...options.flat()], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: opensslDeadlineMs,
    })
    chmodSync(key, 0o600)
    renameDurably(key, files.key)
    renameDurably(certificate, files.certificate)
  } catch (cause) {
    const why = (cause as { stderr?: Buffer }).stderr?.toString().trim() || (cause as Error).message
    throw new DroverError('INTERNAL', `make a certificate in ${directory} with openssl: ${why}`, { cause })
  } finally {
    rmSync(key, { force: true })
    rmSync(certificate, { force: true })
  }
}
