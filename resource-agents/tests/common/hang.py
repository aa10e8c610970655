# A filesystem with one file, `file`, whose server never answers that it has been closed: whoever is killed while it
# has the file open hangs in the kernel, with no memory any more. When this program ends, so does the hanging.
import ctypes, os, struct, sys

at = sys.argv[1]
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"hang", at.encode(), b"fuse", 0, options.encode()) != 0:
    sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")
LOOKUP, FORGET, GETATTR, OPEN, FLUSH, INIT, INTERRUPT = 1, 2, 3, 14, 25, 26, 36

def attributes(node):
    mode = 0o40777 if node == 1 else 0o100666
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

while True:
    request = os.read(device, 1 << 20)
    _, kind, unique, node = struct.unpack_from("<IIQQ", request)
    error, answer = 0, b""
    if kind in (FLUSH, FORGET, INTERRUPT):
        continue
    if kind == INIT:
        answer = struct.pack("<4I2H2I", 7, 31, 0, 0, 0, 0, 4096, 0).ljust(64, b"\0")
    elif kind == LOOKUP and request[40:] == b"file\0":
        answer = struct.pack("<4Q2I", 2, 0, 9, 9, 0, 0) + attributes(2)
    elif kind == LOOKUP:
        error = -2
    elif kind == GETATTR:
        answer = struct.pack("<Q2I", 9, 0, 0) + attributes(node)
    elif kind == OPEN:
        answer = struct.pack("<Q2I", 1, 0, 0)
    else:
        error = -38
    os.write(device, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)
