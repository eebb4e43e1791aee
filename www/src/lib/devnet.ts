// How the devnet beside the page is asked for something, see `scripts/lib/playground.mjs`.

/** Why the devnet did not do what it was asked for, as a sentence. */
export class DevnetError extends Error {
    override readonly name = 'DevnetError';
}

const JSON_BODY = { 'Content-Type': 'application/json' };

/** What it answers. Throws `DevnetError`. */
export async function askDevnet(path: string, method: 'POST' | 'DELETE', body?: object): Promise<unknown> {
    let response: Response;
    try {
        response = await fetch(path, { method, headers: JSON_BODY, body: body && JSON.stringify(body) });
    } catch (error) {
        throw new DevnetError('The devnet can’t be reached. Is `npm start` still running?', { cause: error });
    }
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    const answer: { error?: string } = isJson ? await response.json() : {};
    if (!response.ok || !isJson) throw new DevnetError(`The devnet refused: ${answer.error ?? `it answered with ${response.status}`}.`);
    return answer;
}

/** Has it stop something, without waiting for the answer: the page may be gone by then. */
export async function leaveDevnet(path: string): Promise<void> {
    await fetch(path, { method: 'DELETE', headers: JSON_BODY, keepalive: true });
}
