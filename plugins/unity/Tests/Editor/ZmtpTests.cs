using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Threading;
using Llia.Core;
using NUnit.Framework;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class ZmtpTests
    {
        private static ZmtpConnection Connect(PeerServer server, int timeoutMs = 1000)
        {
            return ZmtpConnection.Connect(server.Address, ZmtpSocketType.Dealer, timeoutMs, opened => { });
        }

        [Test]
        public void GreetsAsRfc23Tells()
        {
            byte[] greeting = null, ready = null;
            using (var server = new PeerServer(peer =>
            {
                peer.Write(Peer.Greeting(3, "NULL"));
                greeting = peer.Read(64);
                bool more, command;
                ready = peer.ReadFrame(out more, out command);
                peer.WriteFrame(4, Encoding.ASCII.GetBytes("\u0005READY"));
                peer.WaitForEnd();
            }))
            {
                Connect(server).Dispose();
                Assert.AreEqual(Peer.Greeting(3, "NULL"), greeting);
                Assert.AreEqual("\u0005READY\u000bSocket-Type\0\0\0\u0006DEALER\u0008Identity\0\0\0\0", Encoding.ASCII.GetString(ready));
                Assert.IsNull(server.Fault);
            }
        }

        [Test]
        public void WhatSpeaksSomethingElseIsTold()
        {
            using (var server = new PeerServer(peer =>
            {
                peer.Write(Encoding.ASCII.GetBytes("HTTP/1.1 400 Bad Request\r\n\r\n"));
                peer.WaitForEnd();
            }))
            {
                StringAssert.Contains("no ZeroMQ", Assert.Throws<WireException>(() => Connect(server)).Message);
            }
        }

        [TestCase(2, "NULL", "ZMTP 2")]
        [TestCase(3, "CURVE", "asks for keys (CURVE)")]
        public void APeerThatIsNotUnderstoodIsTold(int major, string mechanism, string told)
        {
            using (var server = new PeerServer(peer =>
            {
                peer.Write(Peer.Greeting(major, mechanism));
                peer.WaitForEnd();
            }))
            {
                StringAssert.Contains(told, Assert.Throws<WireException>(() => Connect(server)).Message);
            }
        }

        [Test]
        public void ARefusalIsTold()
        {
            using (var server = new PeerServer(peer =>
            {
                peer.Write(Peer.Greeting(3, "NULL"));
                peer.Read(64);
                peer.WriteFrame(4, Encoding.ASCII.GetBytes("\u0005ERROR\u0008no place"));
                peer.WaitForEnd();
            }))
            {
                StringAssert.Contains("no place", Assert.Throws<WireException>(() => Connect(server)).Message);
            }
        }

        [Test]
        public void AHandshakeByDribletsEndsInTime()
        {
            using (var server = new PeerServer(peer =>
            {
                foreach (var one in Peer.Greeting(3, "NULL"))
                {
                    peer.Write(one);
                    Thread.Sleep(100);
                }
                peer.WaitForEnd();
            }))
            {
                var watch = Stopwatch.StartNew();
                var error = Assert.Throws<WireException>(() => Connect(server, 500));
                StringAssert.Contains("no answer to the ZMTP handshake in 500 ms", error.Message);
                Assert.That(watch.ElapsedMilliseconds, Is.LessThan(2500));
            }
        }

        [Test]
        public void PingsBetweenPartsAreAnsweredWithTheirContext()
        {
            byte[] pong = null;
            using (var server = new PeerServer(peer =>
            {
                peer.ShakeHands("ROUTER");
                peer.WriteFrame(1, new byte[] { 1, 2, 3 });
                peer.WriteFrame(4, Encoding.ASCII.GetBytes("\u0004PING\0\u000acontext"));
                peer.WriteFrame(4, Encoding.ASCII.GetBytes("\u0007UNKNOWN"));
                peer.WriteFrame(0, new byte[300]);
                bool more, command;
                pong = peer.ReadFrame(out more, out command);
                Assert.IsTrue(command);
                peer.WaitForEnd();
            }))
            using (var connection = Connect(server))
            {
                bool more;
                Assert.AreEqual(3, connection.ReadFrameHeader(out more));
                Assert.IsTrue(more);
                connection.SkipBody(3);
                Assert.AreEqual(300, connection.ReadFrameHeader(out more));
                Assert.IsFalse(more);
                connection.SkipBody(300);
                Wait.Until(() => pong != null);
                Assert.AreEqual("\u0004PONGcontext", Encoding.ASCII.GetString(pong));
                Assert.IsNull(server.Fault);
            }
        }

        [Test]
        public void MessagesOfAllSizesArriveAtThePeer()
        {
            var sizes = new[] { 0, 1, 255, 256, 16383, 16384, 300000 };
            var arrived = new List<int>();
            using (var server = new PeerServer(peer =>
            {
                peer.ShakeHands("ROUTER");
                bool more, command;
                foreach (var size in sizes)
                {
                    peer.ReadFrame(out more, out command);
                    Assert.IsTrue(more);
                    arrived.Add(peer.ReadFrame(out more, out command).Length);
                    Assert.IsFalse(more);
                }
                peer.WaitForEnd();
            }))
            using (var connection = Connect(server))
            {
                foreach (var size in sizes)
                {
                    connection.Send(new byte[] { 1 }, 1, new byte[size], 0, size);
                }
                Wait.Until(() => arrived.Count == sizes.Length);
                Assert.AreEqual(sizes, arrived.ToArray());
                Assert.IsNull(server.Fault);
            }
        }

        [TestCase(new byte[] { 0xf0, 1 })]
        [TestCase(new byte[] { 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff })]
        [TestCase(new byte[] { 4 | 2, 0, 0, 0, 0, 1, 0, 0, 0 })]
        public void FramesThatCannotBeAreTold(byte[] bytes)
        {
            using (var server = new PeerServer(peer =>
            {
                peer.ShakeHands("ROUTER");
                peer.Write(bytes);
                peer.WaitForEnd();
            }))
            using (var connection = Connect(server))
            {
                bool more;
                Assert.Throws<WireException>(() => connection.ReadFrameHeader(out more));
            }
        }

        [Test]
        public void ClosingFreesABlockedReader()
        {
            using (var server = new PeerServer(peer =>
            {
                peer.ShakeHands("ROUTER");
                peer.WaitForEnd();
            }))
            {
                var connection = Connect(server);
                Exception thrown = null;
                var reader = new Thread(() =>
                {
                    bool more;
                    thrown = Assert.Throws(Is.InstanceOf<Exception>(), () => connection.ReadFrameHeader(out more));
                });
                reader.Start();
                Thread.Sleep(100);
                var watch = Stopwatch.StartNew();
                connection.Dispose();
                Assert.IsTrue(reader.Join(2000));
                Assert.That(watch.ElapsedMilliseconds, Is.LessThan(1000));
                Assert.IsNotNull(thrown);
            }
        }

        [Test]
        public void ALinkComesBackWithPausesThatGrow()
        {
            var times = new List<long>();
            var watch = Stopwatch.StartNew();
            using (var server = new PeerServer(peer => times.Add(watch.ElapsedMilliseconds)))
            {
                var handler = new CountingHandler();
                using (new ZmtpLink("test", server.Address, ZmtpSocketType.Dealer, handler, 500, new Backoff(50, 400, 1)))
                {
                    Wait.Until(() => times.Count >= 6);
                }
                Assert.That(times[5] - times[4], Is.GreaterThanOrEqualTo(190), "the pause after some attempts");
                Assert.That(times[1] - times[0], Is.LessThan(150), "the first pause");
                Assert.That(handler.Reasons, Is.Not.Empty);
                StringAssert.Contains(server.Address.ToString(), handler.Reasons[0]);
            }
        }

        [Test]
        public void AClosedLinkLeavesNoThread()
        {
            var handler = new CountingHandler();
            var link = new ZmtpLink(
                "test", new TcpAddress("127.0.0.1", 1), ZmtpSocketType.Dealer, handler, 500, new Backoff(10000, 10000, 1));
            Wait.Until(() => handler.Reasons.Count > 0);
            StringAssert.Contains("nothing listens there", handler.Reasons[0]);
            var watch = Stopwatch.StartNew();
            link.Dispose();
            Assert.That(watch.ElapsedMilliseconds, Is.LessThan(900), "it waits for its thread, which ends at once");
        }

        [TestCase("tcp://127.0.0.1:5570", "127.0.0.1", 5570)]
        [TestCase(" tcp://[::1]:80 ", "::1", 80)]
        [TestCase("tcp://localhost:1", "localhost", 1)]
        public void AddressesAreUnderstood(string text, string host, int port)
        {
            var address = TcpAddress.Parse(text);
            Assert.AreEqual(host, address.Host);
            Assert.AreEqual(port, address.Port);
            Assert.AreEqual(text.Trim(), address.ToString());
        }

        [TestCase("")]
        [TestCase(null)]
        [TestCase("127.0.0.1:5570")]
        [TestCase("tcp://:5570")]
        [TestCase("tcp://host")]
        [TestCase("tcp://host:99999")]
        [TestCase("tcp://host:-1")]
        public void WhatIsNoAddressIsToldWithAnExample(string text)
        {
            StringAssert.Contains("tcp://127.0.0.1:5570", Assert.Throws<FormatException>(() => TcpAddress.Parse(text)).Message);
        }

        private sealed class CountingHandler : ILinkHandler
        {
            public readonly List<string> Reasons = new List<string>();

            public void Connected(ZmtpConnection connection)
            {
            }

            public void ReceiveMessage(ZmtpConnection connection)
            {
                bool more;
                connection.SkipBody(connection.ReadFrameHeader(out more));
            }

            public void Disconnected(string reason)
            {
                Reasons.Add(reason);
            }
        }
    }
}
