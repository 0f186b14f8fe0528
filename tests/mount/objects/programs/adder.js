// A server that adds, over a two-way pipe. Usage: node adder.js FOLDER
const fs = require('fs');
const { spawn } = require('child_process');

const [folder, role] = process.argv.slice(2);
process.chdir(folder);
const buffer = Buffer.alloc(4096);
const say = (line) => fs.writeSync(1, line + '\n');

function receive(end) {
    const length = fs.readSync(end, buffer, 0, buffer.length, null);
    return length ? buffer.toString('utf8', 0, length) : null;
}

function server() {
    const end = fs.openSync('adder.pipe/a', 'r+');
    let request;
    while ((request = receive(end)) !== null) {
        const [x, y] = request.split(' ').map(Number);
        fs.writeSync(end, `${x + y}`);
    }
    say('the client has gone');
}

function client() {
    const end = fs.openSync('adder.pipe/b', 'r+');
    for (const x of [1, 20, -5]) {
        fs.writeSync(end, `${x} 7`);
        say(`${x} + 7 = ${receive(end)}`);
    }
}

if (role === 'server') {
    server();
} else if (role === 'client') {
    client();
} else {
    fs.mkdirSync('adder.pipe');
    fs.writeFileSync('adder.pipe.ctl/framing', 'record\n');   // one message a read
    for (const name of ['server', 'client'])
        spawn(process.execPath, [__filename, folder, name], { stdio: 'inherit' });
}
