# The classic: connect, ask for the history, then send each line as a note.
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(10)
client.connect((sys.argv[1], int(sys.argv[2])))
for line in ["sync", *sys.stdin]:
    client.send(line.strip().encode())
    if line == "sync":
        print(client.recv(1024).decode())
client.send(b"r")  # once more: an answer means that all before it was read
print(client.recv(1024).decode())
