// Waiting for an event with a time limit. Usage: node event_limit.js FOLDER
const fs = require('fs');
const { spawn } = require('child_process');

const [folder, role] = process.argv.slice(2);
process.chdir(folder);
const put = (name, text) => fs.writeFileSync(name, text + '\n');

function get(name) {
    const fd = fs.openSync(name, 'r');
    try {
        fs.readSync(fd, Buffer.alloc(64));
        return true;
    } catch (error) {
        if (error.code !== 'ETIMEDOUT')
            throw error;
        return false;
    } finally {
        fs.closeSync(fd);
    }
}

if (role === 'waiter') {
    while (!get('ready.event@0.2')) {
        fs.writeSync(1, 'not yet\n');
        put('tried.sem', 1);
        get('set.sem');                     // the service starts between two tries
    }
    fs.writeSync(1, 'ready\n');
} else {
    for (const name of ['ready.event', 'tried.sem', 'set.sem'])
        fs.closeSync(fs.openSync(name, 'w'));
    spawn(process.execPath, [__filename, folder, 'waiter'], { stdio: 'inherit' });
    get('tried.sem');
    put('ready.event', 'set');
    put('set.sem', 1);
}
