using System;
using System.Text;
using System.Threading;
using Llia.Core;
using NUnit.Framework;

namespace Llia.Tests
{
    /// <summary>
    /// What happens for every picture, piece of sound and block of output makes no garbage: the counter of the thread that does
    /// it stands still, to the byte.
    /// </summary>
    [TestFixture]
    internal sealed class AllocationTests
    {
        private const int WarmUp = 50;
        private const int Counted = 400;
        private const int SidePx = 384;

        [SetUp]
        public void TheCounterCounts()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            GC.KeepAlive(new byte[10000]);
            if (GC.GetAllocatedBytesForCurrentThread() - before < 10000)
            {
                Assert.Ignore("this runtime does not count what a thread allocates");
            }
        }

        private static long Count(Action<int> step)
        {
            for (var i = 0; i < WarmUp; i++)
            {
                step(i);
            }
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = WarmUp; i < WarmUp + Counted; i++)
            {
                step(i);
            }
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        /// <summary>A session that believes to be open, without a daemon.</summary>
        private static AvatarSession Opened(LliaClient client)
        {
            var session = client.Open(new AvatarSettings { WantFaces = true });
            session.Opened(new AvatarReply { AvatarId = "a", Name = "amber" }, 0);
            return session;
        }

        private static LliaClient Unconnected()
        {
            return new LliaClient(new ClientSettings { ControlEndpoint = "tcp://127.0.0.1:1", FirstRetryMs = 60000, LongestRetryMs = 60000 });
        }

        [Test]
        public void ReceivingFramesSoundFacesAndFiguresAllocatesNothing()
        {
            using (var server = new PeerServer(peer => Publish(peer, WarmUp + Counted)))
            using (var client = Unconnected())
            {
                var session = Opened(client);
                session.Voice = new VoicePlayer(48000, 80);
                var reader = new FramesReader(client, 64 << 20);
                var shown = 0;
                using (var connection = ZmtpConnection.Connect(server.Address, ZmtpSocketType.Sub, 2000, opened => { }))
                {
                    reader.Connected(connection);
                    var allocated = Count(i =>
                    {
                        for (var message = 0; message < 4; message++)
                        {
                            reader.ReceiveMessage(connection);
                        }
                        shown += session.Frames.Take(double.PositiveInfinity) != null ? 1 : 0;
                        session.Faces.Take(double.PositiveInfinity);
                    });
                    Assert.AreEqual(0, reader.Malformed, reader.MalformedText);
                    Assert.AreEqual(WarmUp + Counted, shown);
                    Assert.AreEqual((WarmUp + Counted) * 640, session.Voice.Echo.End);
                    Assert.AreEqual(25, session.Figures.Fps);
                    Assert.AreEqual(0, allocated, "bytes for " + Counted + " frames");
                }
                Assert.IsNull(server.Fault);
            }
        }

        [Test]
        public void SendingSpeechAndTakingItsAnswersAllocatesNothing()
        {
            using (var server = new PeerServer(AnswerAll))
            using (var client = Unconnected())
            {
                var session = Opened(client);
                var reader = new ControlReader(client);
                var writer = new MsgpackWriter();
                var payload = new byte[100000];
                var samples = new float[960];
                using (var connection = ZmtpConnection.Connect(server.Address, ZmtpSocketType.Dealer, 2000, opened => { }))
                {
                    var utterance = session.BeginSpeech(48000, false);
                    session.Speech.Start(utterance.Id); // what has arrived is kept only until then
                    var allocated = Count(i =>
                    {
                        utterance.Push(samples, 0, samples.Length);
                        int bytes;
                        session.Speech.TryNext(i, 0, "a", writer, ref payload, out bytes);
                        connection.Send(writer.Buffer, writer.Count, payload, 0, bytes);
                        reader.ReceiveMessage(connection);
                    });
                    Assert.AreEqual(0, reader.Malformed, reader.MalformedText);
                    Assert.AreEqual((WarmUp + Counted) * 960, utterance.Acknowledged);
                    Assert.AreEqual(0, allocated, "bytes for " + Counted + " pieces");
                }
                Assert.IsNull(server.Fault);
            }
        }

        [Test]
        public void PlayingAndTappingAllocatesNothing()
        {
            var player = new VoicePlayer(48000, 80);
            player.Add(new OwnVoice("u", new float[480000], 48000, 48000));
            player.StartOwn("u", 16000);
            var piece = new byte[640 * 4];
            var block = new float[2048];
            var ring = new SampleRing(48000);
            var gate = new VoiceGate(48000, 0.01f, 500);
            var mono = new float[1024];
            double playhead;
            bool opened, closed;
            var allocated = Count(i =>
            {
                player.Echo.Write(i * 640, piece, 640);
                player.Render(block, 2);
                player.Render(block, 2);
                player.Clock.TryGetPlayhead(out playhead);
                ring.WriteMono(block, 2);
                gate.Hear(mono, ring.Read(mono, mono.Length), out opened, out closed);
            });
            Assert.AreEqual(0, allocated, "bytes for " + Counted + " blocks");
        }

        private static void Publish(Peer peer, int count)
        {
            peer.ShakeHands("XPUB");
            var writer = new MsgpackWriter();
            var pixels = new byte[SidePx * SidePx * 4];
            var sound = new byte[640 * 4];
            for (var i = 0; i < count; i++)
            {
                Messages.Frame(writer, i * 640, SidePx, SidePx);
                peer.WriteMessage(Encoding.ASCII.GetBytes("frame/a"), writer.ToArray(), pixels);
                Messages.Echo(writer, i * 640);
                peer.WriteMessage(Encoding.ASCII.GetBytes("audio/a"), writer.ToArray(), sound);
                Messages.Face(writer, i * 640, i / (double)count);
                peer.WriteMessage(Encoding.ASCII.GetBytes("blendshapes/a"), writer.ToArray());
                Messages.Statistics(writer);
                peer.WriteMessage(Encoding.ASCII.GetBytes("event/a"), writer.ToArray());
            }
            peer.WaitForEnd();
        }

        private static void AnswerAll(Peer peer)
        {
            peer.ShakeHands("ROUTER");
            var writer = new MsgpackWriter();
            for (var i = 0; i < WarmUp + Counted; i++)
            {
                bool more, command;
                peer.ReadFrame(out more, out command);
                peer.ReadFrame(out more, out command);
                Messages.Ok(writer, i);
                peer.WriteMessage(writer.ToArray());
            }
            peer.WaitForEnd();
        }
    }
}
