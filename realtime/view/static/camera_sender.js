// A worker that sends a camera's pictures over a socket of its own. On the page's thread a JPEG would be encoded when
// that has nothing else to do, and the timers of a tab in the background run once a second.

const QUALITY = 0.85;
const MOST_UNDER_WAY = 5; // a slow network must not make pictures old
const AGAIN_MS = 500;
const DUE_MS = 40;

let road = null; // the socket, and how many pictures it was given and the server has received
let encoded = Promise.resolve(); // of the last picture
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });

// { address } of the socket, empty to close it; or { picture, takenMs }.
onmessage = ({ data }) => ("address" in data ? connect(data.address) : take(data));

function connect(address) {
  road?.socket.close();
  if (!address) return void (road = null);
  const mine = (road = { socket: new WebSocket(address), given: 0, received: 0 });
  mine.socket.onmessage = ({ data }) => (mine.received = Number(data));
  // From 4000 on the server has said why, and the page hears that too.
  mine.socket.onclose = ({ code }) => code < 4000 && setTimeout(() => mine === road && connect(address), AGAIN_MS);
}

function take({ picture, takenMs }) {
  const mine = road;
  if (mine?.socket.readyState !== 1 || mine.given - mine.received >= MOST_UNDER_WAY) return picture.close();
  mine.given++;
  encoded = encoded.then(() => send(mine.socket, picture, takenMs)).catch((error) => {
    mine.given--; // it is no longer under way
    console.error(error);
  });
}

async function send(socket, picture, takenMs) {
  const [width, height] = [picture.displayWidth ?? picture.width, picture.displayHeight ?? picture.height];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  context.drawImage(picture, 0, 0, width, height);
  picture.close();
  const jpeg = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  const taken = new DataView(new ArrayBuffer(8));
  taken.setFloat64(0, takenMs, true);
  socket.send(new Blob([taken, jpeg]));
}

setInterval(() => road && postMessage("due"), DUE_MS);
