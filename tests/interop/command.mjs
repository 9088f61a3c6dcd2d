// The command line against Node: a few blocks of a core that a stock peer serves.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fill, hex, main, newCore, serve } from './peers.mjs'

const run = promisify(execFile)

async function commands (folder, writer, closing) {
  const { server, address } = await serve(() => writer.replicate(false))
  closing.push(() => { server.close(); return writer.close() })
  const store = join(folder, 'store')
  return {
    address,
    store,
    core: async (verb, ...words) => {
      const { stdout } = await run(process.env.WEFT, ['core', verb, ...words])
      return stdout
    }
  }
}

const stories = {
  async theCommandReadsOneBlockOfANodeCore ({ folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 2000)
    const { core, store, address } = await commands(folder, writer, closing)
    const key = hex(writer.key)
    assert.equal(await core('get', store, key, '1500', '--connect', address), 'block 1500')
    const [index, offset] = await writer.seek(9003)
    const told = await core('get', store, key, '--byte', '9003', '--connect', address,
      '--json')
    assert.deepEqual(JSON.parse(told), { index, offset, block: `block ${index}` })
    const info = JSON.parse(await core('info', store, key, '--json'))
    assert.equal(info.length, 2000)
    assert.ok(info.have <= 3)
    // What was fetched is here without the peer.
    assert.equal(await core('get', store, key, '1500'), 'block 1500')
    await assert.rejects(core('get', store, key, '3'))
    await assert.rejects(core('get', store, key, '2000', '--connect', address))
  },

  async theCommandReadsAndClonesAnEncryptedNodeCore ({ folder, closing }) {
    const encryptionKey = Buffer.alloc(32, 7)
    const writer = await newCore(folder, null, { encryptionKey })
    await fill(writer, 200)
    const { core, store, address } = await commands(folder, writer, closing)
    const key = hex(writer.key)
    const right = ['--encryption-key', hex(encryptionKey)]
    const wrong = ['--encryption-key', hex(Buffer.alloc(32, 8))]
    const at = ['--connect', address]
    assert.equal(await core('get', store, key, '99', ...at, ...right), 'block 99')
    assert.equal(await core('get', store, key, '--byte', '12', ...at, ...right), ' 1')
    await assert.rejects(core('get', store, key, '99', ...wrong))
    await core('clone', key, store, ...at, ...right)
    await assert.rejects(core('clone', key, store, ...at, ...wrong))
    assert.equal(await core('get', store, key, '199', ...right), 'block 199')
  }
}

await main(stories)
