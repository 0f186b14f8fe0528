// Producer and two consumers; a sentinel ends it. Usage: node sentinel.js FOLDER
const fs = require('fs');
const { spawn } = require('child_process');

const [folder, number] = process.argv.slice(2);
process.chdir(folder);

function consumer() {
    const buns = fs.openSync('buns.queue', 'r');
    const buffer = Buffer.alloc(4096);
    for (;;) {
        const bun = buffer.toString('utf8', 0, fs.readSync(buns, buffer)).trim();
        if (bun === 'end') {
            fs.writeFileSync('buns.queue', 'end\n');      // for the other one
            break;
        }
        fs.writeSync(1, `ate bun ${bun}\n`);
    }
    fs.writeSync(1, `consumer ${number} is full\n`);
}

if (number) {
    consumer();
} else {
    fs.closeSync(fs.openSync('buns.queue', 'w'));
    for (const i of [1, 2])
        spawn(process.execPath, [__filename, folder, i], { stdio: 'inherit' });
    for (let i = 1; i <= 10; i++)
        fs.writeFileSync('buns.queue', `${i}\n`);
    fs.writeFileSync('buns.queue', 'end\n');
}
