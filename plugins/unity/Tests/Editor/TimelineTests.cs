using Llia.Core;
using NUnit.Framework;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class TimelineTests
    {
        private Timeline<VideoFrame> m_frames;

        [SetUp]
        public void MakeOne()
        {
            m_frames = new Timeline<VideoFrame>(() => new VideoFrame());
        }

        private VideoFrame Add(long ptsSamples)
        {
            var frame = m_frames.Begin();
            frame.Take(new FrameHeader { PtsSamples = ptsSamples, Width = 1, Height = 1, UtteranceId = "" }, 4);
            m_frames.Publish(frame);
            return frame;
        }

        [Test]
        public void TheNewestWinsWhereTheNewestIsWanted()
        {
            Add(0);
            Add(640);
            Add(1280);
            Assert.AreEqual(1280, m_frames.Take(double.PositiveInfinity).PtsSamples);
            Assert.IsNull(m_frames.Take(double.PositiveInfinity));
            Assert.AreEqual(2, m_frames.PassedOver);
            Assert.AreEqual(3, m_frames.Received);
        }

        [Test]
        public void ThePlayheadHoldsPicturesBack()
        {
            Add(0);
            Add(640);
            Add(1280);
            Assert.IsNull(m_frames.Take(-1));
            Assert.AreEqual(0, m_frames.Take(639).PtsSamples);
            Assert.AreEqual(640, m_frames.Take(640).PtsSamples);
            Assert.IsNull(m_frames.Take(1000));
            Assert.AreEqual(1280, m_frames.Take(5000).PtsSamples);
            Assert.AreEqual(0, m_frames.PassedOver);
        }

        [Test]
        public void ThePictureTakenIsNotWrittenIntoWhileThreeBuffersDo()
        {
            Add(0);
            var taken = m_frames.Take(double.PositiveInfinity);
            var seen = new System.Collections.Generic.HashSet<VideoFrame> { taken };
            for (var i = 1; i < 100; i++)
            {
                var written = Add(i * 640);
                Assert.AreNotSame(taken, written);
                seen.Add(written);
                taken = m_frames.Take(double.PositiveInfinity);
                Assert.AreEqual(i * 640, taken.PtsSamples);
            }
            Assert.That(seen.Count, Is.LessThanOrEqualTo(3));
        }

        [Test]
        public void NobodyTakesAndItStaysBounded()
        {
            var seen = new System.Collections.Generic.HashSet<VideoFrame>();
            for (var i = 0; i < 1000; i++)
            {
                seen.Add(Add(i));
            }
            Assert.That(seen.Count, Is.LessThanOrEqualTo(18));
            Assert.AreEqual(999, m_frames.Take(double.PositiveInfinity).PtsSamples);
            Assert.AreEqual(999, m_frames.PassedOver);
        }

        [Test]
        public void AFlushDropsWhatWaitsAndKeepsWhatIsShown()
        {
            Add(0);
            var shown = m_frames.Take(0);
            Add(640);
            m_frames.Flush();
            Assert.IsNull(m_frames.Take(double.PositiveInfinity));
            Assert.AreEqual(0, shown.PtsSamples);
            Assert.AreNotSame(shown, Add(1280));
        }

        [Test]
        public void APictureOfAnotherSizeGetsAnotherBuffer()
        {
            var frame = m_frames.Begin();
            frame.Take(new FrameHeader { Width = 64, Height = 64 }, 64 * 64 * 4);
            Assert.AreEqual(64 * 64 * 4, frame.Pixels.Length);
            frame.Take(new FrameHeader { Width = 8, Height = 8 }, 8 * 8 * 4);
            Assert.AreEqual(8 * 8 * 4, frame.PixelBytes);
            Assert.That(frame.Pixels.Length, Is.GreaterThanOrEqualTo(8 * 8 * 4));
            frame.Take(new FrameHeader { Width = 256, Height = 256 }, 256 * 256 * 4);
            Assert.AreEqual(256 * 256 * 4, frame.Pixels.Length);
        }
    }
}
