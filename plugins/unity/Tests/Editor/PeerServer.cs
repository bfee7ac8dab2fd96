using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using Llia.Core;

namespace Llia.Tests
{
    /// <summary>
    /// The other side of one connection, byte by byte: a ZMTP peer as good or as bad as a test wants. Written from RFC 23
    /// without the package's own sending code.
    /// </summary>
    internal sealed class PeerServer : IDisposable
    {
        private readonly TcpListener m_listener = new TcpListener(IPAddress.Loopback, 0);
        private readonly List<TcpClient> m_accepted = new List<TcpClient>();
        private readonly Thread m_thread;
        private volatile bool m_closed;

        /// <param name="serve">Is given each connection, on a thread of its own.</param>
        public PeerServer(Action<Peer> serve)
        {
            m_listener.Start();
            m_thread = new Thread(() => Run(serve)) { IsBackground = true };
            m_thread.Start();
        }

        public TcpAddress Address
        {
            get { return new TcpAddress("127.0.0.1", ((IPEndPoint)m_listener.LocalEndpoint).Port); }
        }

        /// <summary>What went wrong in a test's own serving code.</summary>
        public string Fault { get; private set; }

        public void Dispose()
        {
            m_closed = true;
            m_listener.Stop();
            m_thread.Join(2000);
            lock (m_accepted)
            {
                m_accepted.ForEach(accepted => accepted.Close());
            }
        }

        private void Run(Action<Peer> serve)
        {
            while (!m_closed)
            {
                TcpClient accepted;
                try
                {
                    accepted = m_listener.AcceptTcpClient();
                }
                catch (SocketException)
                {
                    return;
                }
                catch (ObjectDisposedException)
                {
                    return;
                }
                catch (InvalidOperationException)
                {
                    return;
                }
                lock (m_accepted)
                {
                    m_accepted.Add(accepted);
                }
                new Thread(() => Serve(accepted, serve)) { IsBackground = true }.Start();
            }
        }

        private void Serve(TcpClient accepted, Action<Peer> serve)
        {
            try
            {
                serve(new Peer(accepted));
            }
            catch (IOException)
            {
                // The client has gone, which tests provoke.
            }
            catch (ObjectDisposedException)
            {
                // The server was closed.
            }
            catch (InvalidOperationException)
            {
                // Likewise, before it began.
            }
            catch (Exception error)
            {
                Fault = error.ToString();
            }
            accepted.Close();
        }
    }

    internal sealed class Peer
    {
        private readonly NetworkStream m_stream;

        public Peer(TcpClient client)
        {
            client.NoDelay = true;
            m_stream = client.GetStream();
            m_stream.ReadTimeout = 5000;
        }

        /// <summary>Waits for the client without end, where it has nothing to say for long.</summary>
        public void BePatient()
        {
            m_stream.ReadTimeout = Timeout.Infinite;
        }

        public void Write(params byte[] bytes)
        {
            m_stream.Write(bytes, 0, bytes.Length);
        }

        public byte[] Read(int count)
        {
            var bytes = new byte[count];
            for (var done = 0; done < count;)
            {
                var read = m_stream.Read(bytes, done, count - done);
                if (read == 0)
                {
                    throw new IOException("the client has closed the connection");
                }
                done += read;
            }
            return bytes;
        }

        public static byte[] Greeting(int major, string mechanism)
        {
            var greeting = new byte[64];
            greeting[0] = 0xff;
            greeting[9] = 0x7f;
            greeting[10] = (byte)major;
            Encoding.ASCII.GetBytes(mechanism, 0, mechanism.Length, greeting, 12);
            return greeting;
        }

        /// <summary>Greets and says READY as a socket of this type.</summary>
        public void ShakeHands(string type)
        {
            Write(Greeting(3, "NULL"));
            Read(64);
            ReadFrame(out _, out _);
            var ready = new MemoryStream();
            ready.WriteByte(5);
            ready.Write(Encoding.ASCII.GetBytes("READY"), 0, 5);
            ready.WriteByte(11);
            ready.Write(Encoding.ASCII.GetBytes("Socket-Type"), 0, 11);
            ready.Write(new byte[] { 0, 0, 0, (byte)type.Length }, 0, 4);
            ready.Write(Encoding.ASCII.GetBytes(type), 0, type.Length);
            WriteFrame(4, ready.ToArray());
        }

        /// <param name="flags">1: more follow; 4: a command.</param>
        public void WriteFrame(int flags, byte[] body)
        {
            if (body.Length < 256)
            {
                Write((byte)flags, (byte)body.Length);
            }
            else
            {
                var size = BitConverter.GetBytes((long)body.Length);
                Array.Reverse(size);
                Write((byte)(flags | 2));
                Write(size);
            }
            Write(body);
        }

        public void WriteMessage(params byte[][] parts)
        {
            for (var i = 0; i < parts.Length; i++)
            {
                WriteFrame(i + 1 < parts.Length ? 1 : 0, parts[i]);
            }
        }

        public byte[] ReadFrame(out bool more, out bool command)
        {
            int flags = Read(1)[0];
            more = (flags & 1) != 0;
            command = (flags & 4) != 0;
            long size;
            if ((flags & 2) == 0)
            {
                size = Read(1)[0];
            }
            else
            {
                var bytes = Read(8);
                Array.Reverse(bytes);
                size = BitConverter.ToInt64(bytes, 0);
            }
            return Read((int)size);
        }

        /// <summary>Holds the connection until the client ends it.</summary>
        public void WaitForEnd()
        {
            m_stream.ReadTimeout = 20000;
            while (m_stream.ReadByte() >= 0)
            {
            }
        }
    }
}
