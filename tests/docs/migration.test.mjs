// The table of calls in docs/migration.md, held against the typings of both packages: every call in it compiles, and no call of
// `@nimiq/core`'s client is left out.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { root } from '../../scripts/lib/env.mjs';
import { install } from '../publish/support.mjs';
import { read, rows } from './markdown.mjs';
import { compile } from './support.mjs';

const PAGE = 'docs/migration.md';
const THEIRS = 'node_modules/@nimiq/core/types/wasm/web.d.ts';

/** What the calls are about, on either side. */
const CONTEXT = `
declare const address: string, multiaddr: string, hash: string, startAt: string, words: string, hex: string, text: string;
declare const limit: number, since: number, height: number, handle: number;
declare const value: bigint, fee: bigint;
declare const message: Uint8Array, data: Uint8Array;
declare function show(...what: unknown[]): void;
`;
const THEIR_CONTEXT = `import * as Nimiq from '@nimiq/core';
declare const client: Nimiq.Client, config: Nimiq.ClientConfiguration, tx: Nimiq.Transaction, keyPair: Nimiq.KeyPair;
declare const sender: Nimiq.Address, to: Nimiq.Address, signature: Nimiq.Signature, known: Nimiq.PlainTransactionDetails[];
${CONTEXT}`;
const OUR_CONTEXT = `import { PicoSyncClient, type ClientOptions, type Network } from 'pico-sync-client';
import { KeyPair, Mnemonic, TransactionBuilder, isValidAddress } from 'pico-sync-client/wallet';
declare const client: PicoSyncClient, options: ClientOptions, keyPair: KeyPair, network: Network;
declare const recipient: string, publicKey: string, raw: Uint8Array, signatureBytes: Uint8Array;
${CONTEXT}`;

let installed;
let calls;
before(() => {
    installed = install();
    symlinkSync(join(root, 'node_modules', '@nimiq'), join(installed.project, 'node_modules', '@nimiq'));
    writeFileSync(join(installed.project, 'context.d.ts'), '');
    const text = read(PAGE);
    calls = ['pico-sync-client', 'pico-sync-client/wallet'].flatMap((ours) => rows(text, ['`@nimiq/core`', `\`${ours}\``, '']));
});
after(() => installed?.remove());

/** The code in a cell: nothing, or one call. */
function code(cell) {
    return cell.match(/^`([^`]+)`$/)?.[1];
}

/** A module with the calls of a column, each in the line that has the number of its row. */
function moduleOf(column, context) {
    const lines = [context.replaceAll('\n', ' ')];
    for (const { cells, line } of calls) {
        const call = code(cells[column]);
        // A function each, so that a \`break\` or a name stays its own.
        if (call) lines[line - 1] = `export async function line${line}() { ${call.startsWith('for ') ? call : `void (${call})`}; }`;
    }
    return Array.from(lines, (line) => line ?? '').join('\n');
}

/** The names of the members of a class in the typings of `@nimiq/core`. */
function members(name) {
    const body = readFileSync(join(root, THEIRS), 'utf8').match(new RegExp(`^export class ${name} \\{\\n(.*?)^\\}`, 'ms'))[1];
    const names = [...body.matchAll(/^ {4}(?:static )?(\w+)\(/gm)].map(([, member]) => member);
    return [...new Set(names)].filter((member) => !['constructor', 'free', 'build'].includes(member));
}

describe('the table of calls', () => {
    test('compiles on both sides', () => {
        assert.ok(calls.length > 50, `${calls.length} rows`);
        mkdirSync(join(installed.project, PAGE), { recursive: true });
        writeFileSync(join(installed.project, PAGE, 'theirs.ts'), moduleOf(0, THEIR_CONTEXT));
        writeFileSync(join(installed.project, PAGE, 'ours.ts'), moduleOf(1, OUR_CONTEXT));
        assert.equal(compile(installed.project, ['**/*.ts']), '');
    });

    test('that has a wrong call on either side does not', () => {
        mkdirSync(join(installed.project, 'wrong'));
        writeFileSync(join(installed.project, 'wrong', 'theirs.ts'), `${THEIR_CONTEXT}\nvoid client.getBalance();`);
        writeFileSync(join(installed.project, 'wrong', 'ours.ts'), `${OUR_CONTEXT}\nvoid client.getHeadHeight();`);
        const output = compile(installed.project, ['wrong/*.ts']);
        assert.match(output, /theirs\.ts.*'getBalance' does not exist on type 'Client'/);
        assert.match(output, /ours\.ts.*'getHeadHeight' does not exist on type 'PicoSyncClient'/);
    });

    test('has a row for each call and option of theirs', () => {
        const theirs = calls.map(({ cells }) => code(cells[0])).join('\n');
        for (const name of members('Client')) assert.ok(new RegExp(`\\b(client|Client)\\.${name}\\(`).test(theirs), `Client.${name} is not in the table`);
        for (const name of members('ClientConfiguration')) assert.ok(theirs.includes(`config.${name}(`), `ClientConfiguration.${name} is not in the table`);
    });

    test('or says that it is not here', () => {
        const text = read(PAGE);
        for (const name of members('TransactionBuilder')) assert.ok(text.includes(name), `TransactionBuilder.${name} is not mentioned`);
    });

    test('is of the version that is installed', () => {
        const { version } = JSON.parse(readFileSync(join(root, 'node_modules/@nimiq/core/package.json'), 'utf8'));
        assert.ok(read(PAGE).includes(`\`@nimiq/core\` ${version}`), version);
    });
});

describe('the table of fields', () => {
    test('names fields that there are', () => {
        const fields = rows(read(PAGE), ['`@nimiq/core`', '`pico-sync-client`']).filter(({ cells }) => cells.length === 2);
        assert.ok(fields.length > 3);
        const types = [
            { block: "import('@nimiq/core').PlainMacroBlock", tx: "import('@nimiq/core').PlainTransactionDetails", validator: "import('@nimiq/core').PlainValidator", staker: "import('@nimiq/core').PlainStaker", account: "import('@nimiq/core').PlainVestingContract" },
            { block: "import('pico-sync-client').Block", tx: "import('pico-sync-client').TransactionDetails", validator: "import('pico-sync-client').Validator", staker: "import('pico-sync-client').Staker", account: "import('pico-sync-client').VestingAccount" },
        ];
        for (const [column, side] of types.entries()) {
            const lines = [`export {}; ${Object.entries(side).map(([name, type]) => `declare const ${name}: ${type};`).join(' ')}`];
            for (const { cells, line } of fields) {
                const names = [...cells[column].matchAll(/`([\w.]+)`/g)].map(([, name]) => name);
                lines[line - 1] = names.map((name) => `void ${name};`).join(' ');
            }
            mkdirSync(join(installed.project, 'fields'), { recursive: true });
            writeFileSync(join(installed.project, 'fields', `column-${column}.ts`), Array.from(lines, (line) => line ?? '').join('\n'));
        }
        assert.equal(compile(installed.project, ['fields/*.ts']), '');
    });
});
